"""What counts as progress in a worktree, and that whatever an agent makes of it can neither hang nor mislead a look."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from graftline import worktree_progress
from graftline.worktree_progress import fingerprint, work_limit
from tests.conftest import MakeRepository, run_git

Change = Callable[[Path], object]


def commit(worktree: Path) -> None:
    run_git(worktree, "commit", "-qam", "more")


def commit_on_no_branch(worktree: Path) -> None:
    run_git(worktree, "checkout", "-q", "--detach")
    commit(worktree)


@pytest.fixture
def worktree(make_repository: MakeRepository) -> Path:
    """A repository with a change that is not committed, caches, and a link out of it."""
    worktree = make_repository({"src/deep/a.py": "x = 1\n", "b.txt": "b\n"})
    (worktree / "b.txt").write_text("changed\n")
    for cache in ("src/__pycache__", ".pytest_cache", "node_modules"):
        (worktree / cache).mkdir()
        (worktree / cache / "one").write_text("one")
    (worktree.parent / "outside").mkdir()
    (worktree / "link").symlink_to(worktree.parent / "outside")
    return worktree


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "src/deep/a.py").write_text("x = 2\n"),
        lambda tree: (tree / "new.txt").write_text(""),
        lambda tree: (tree / "src/new").mkdir(),
        lambda tree: (tree / "b.txt").unlink(),
        lambda tree: (tree / "src").rename(tree / "lib"),
        lambda tree: (tree / "b.txt").rename(tree / "c.txt"),
        lambda tree: (tree / "b.txt").chmod(0o755),
        # Dated back to when it was, as `touch -r` does.
        lambda tree: os.utime(tree / "b.txt", ns=(1, 1)),
        commit,
        commit_on_no_branch,
    ],
    ids=["write", "make", "folder", "remove", "rename folder", "rename", "mode", "date", "commit", "no branch"],
)
def test_change_of_a_file_and_a_commit_are_progress(worktree: Path, change: Change) -> None:
    before = fingerprint(worktree)
    assert fingerprint(worktree) == before
    change(worktree)
    assert fingerprint(worktree) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "src/deep/a.py").read_text(),
        lambda tree: run_git(tree, "add", "b.txt"),
        lambda tree: (tree / "src/__pycache__/a.pyc").write_text("new"),
        lambda tree: (tree / "src/deep/__pycache__").mkdir(),
        lambda tree: (tree / "node_modules/one").write_text("two"),
        lambda tree: (tree.parent / "outside/file").write_text("new"),
    ],
    ids=["read", "index", "cache", "first cache", "environment", "behind a link"],
)
def test_what_is_no_work_is_no_progress(worktree: Path, change: Change) -> None:
    before = fingerprint(worktree)
    change(worktree)
    assert fingerprint(worktree) == before


def test_pipes_loops_of_links_and_closed_folders_do_not_stop_a_look(worktree: Path) -> None:
    os.mkfifo(worktree / "pipe")
    (worktree / "loop").symlink_to(worktree)
    (worktree / "closed").mkdir(mode=0)
    entries, _ = fingerprint(worktree)
    assert entries < 20
    (worktree / "closed").chmod(0o700)


@pytest.mark.parametrize("planted", ["link", "pipe", "file"])
def test_folder_that_was_exchanged_is_not_looked_into(tmp_path: Path, planted: str) -> None:
    plant: dict[str, Change] = {
        "link": lambda path: path.symlink_to(tmp_path),
        "pipe": os.mkfifo,
        "file": lambda path: path.write_text("x"),
    }
    plant[planted](tmp_path / "worktree")
    assert fingerprint(tmp_path / "worktree") == (0, 0)


def test_deep_and_wide_trees_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worktree_progress, "MOST_ENTRIES", 50)
    monkeypatch.setattr(worktree_progress, "DEEPEST", 3)
    (tmp_path / "a/b/c/d/e/f").mkdir(parents=True)
    assert fingerprint(tmp_path)[0] == 4
    for number in range(100):
        (tmp_path / str(number)).touch()
    assert fingerprint(tmp_path)[0] == 50


def test_limit_says_what_was_lacking(worktree: Path) -> None:
    limit = work_limit(worktree, 900)
    assert (limit.seconds, limit.look(), limit.lack) == (
        900,
        fingerprint(worktree),
        "it had neither committed nor changed a file",
    )
