"""The user's repository: every reason it cannot be used has its own message, before anything is spent."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from graftline.errors import RepositoryError
from graftline.git.repository import (
    Repository,
    Target,
    check_features,
    open_repository,
    resolve_target,
    uncommitted_changes,
)

MakeRepository = Callable[..., Path]
UserGit = Callable[..., str]


def test_a_repository_is_found_from_any_folder_in_it(make_repository: MakeRepository) -> None:
    path = make_repository({"deep/er/x": "1\n"})
    expected = Repository(path, path / ".git", path / ".git")
    assert open_repository(path / "deep" / "er") == open_repository(path) == expected


def test_a_linked_worktree_shares_the_state_of_its_repository_and_a_clone_does_not(
    make_repository: MakeRepository, user_git: UserGit, tmp_path: Path
) -> None:
    path = make_repository()
    user_git(path, "worktree", "add", "-q", str(tmp_path / "linked"))
    user_git(tmp_path, "clone", "-q", str(path), "clone")
    (tmp_path / "way").symlink_to(path)
    here, linked, clone, way = (
        open_repository(place) for place in (path, tmp_path / "linked", tmp_path / "clone", tmp_path / "way")
    )
    assert (linked.path, linked.common_dir) == (tmp_path / "linked", path / ".git")
    assert linked.common_dir == here.common_dir == way.common_dir
    assert clone.common_dir != here.common_dir


def test_what_is_no_usable_repository_is_said(
    make_repository: MakeRepository, user_git: UserGit, tmp_path: Path
) -> None:
    user_git(tmp_path, "init", "-q", "--bare", "bare")
    user_git(tmp_path, "init", "-q", "empty")
    (tmp_path / "plain").mkdir()
    reasons = {
        tmp_path / "missing": "is not a folder",
        tmp_path / "plain": "is not in a git repository",
        tmp_path / "bare": "is a bare repository",
        tmp_path / "empty": "has no commit yet",
        make_repository() / ".git": "lies inside a .git folder",
    }
    for path, reason in reasons.items():
        with pytest.raises(RepositoryError, match=reason) as caught:
            open_repository(path)
        assert str(path) in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_repository_of_another_user_is_said(make_repository: MakeRepository, user_git: UserGit) -> None:
    path = make_repository()
    subprocess.run(["chown", "-R", "65534", path], check=True)
    with pytest.raises(RepositoryError, match=r"belongs to another user.*safe\.directory"):
        open_repository(path)
    user_git(path, "config", "--global", "safe.directory", str(path))
    assert open_repository(path).path == path


def test_the_target_is_the_current_branch_or_the_named_one(make_repository: MakeRepository, user_git: UserGit) -> None:
    path = make_repository()
    first = user_git(path, "rev-parse", "HEAD")
    user_git(path, "branch", "old/one")
    user_git(path, "commit", "-q", "--allow-empty", "-m", "second")
    second = user_git(path, "rev-parse", "HEAD")
    repository = open_repository(path)
    assert resolve_target(repository, None) == Target("main", second)
    assert resolve_target(repository, "old/one") == Target("old/one", first)


def test_a_detached_head_needs_a_named_target(make_repository: MakeRepository, user_git: UserGit) -> None:
    path = make_repository()
    user_git(path, "switch", "-q", "--detach")
    repository = open_repository(path)
    with pytest.raises(RepositoryError, match=r"detached.*--target"):
        resolve_target(repository, None)
    assert resolve_target(repository, "main").branch == "main"


def test_an_unknown_target_is_said_and_a_remote_one_gets_the_command(
    make_repository: MakeRepository, user_git: UserGit, tmp_path: Path
) -> None:
    origin = make_repository()
    user_git(origin, "branch", "feature/x")
    user_git(tmp_path, "clone", "-q", str(origin), "clone")
    repository = open_repository(tmp_path / "clone")
    with pytest.raises(RepositoryError, match="no branch 'featur'"):
        resolve_target(repository, "featur")
    with pytest.raises(RepositoryError, match=r"only on remote 'origin'.*git branch feature/x origin/feature/x"):
        resolve_target(repository, "feature/x")


@pytest.mark.parametrize("name", ["main~0", "HEAD", "-q", "", "refs/heads/main", "main^{commit}"])
def test_a_revision_is_not_a_branch(make_repository: MakeRepository, name: str) -> None:
    with pytest.raises(RepositoryError, match="no branch"):
        resolve_target(open_repository(make_repository()), name)


@pytest.mark.parametrize(
    ("marker", "word"),
    [
        ("MERGE_HEAD", "merge"),
        ("rebase-merge/head-name", "rebase"),
        ("rebase-apply/head-name", "rebase"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
        ("REVERT_HEAD", "revert"),
        ("BISECT_LOG", "bisect"),
    ],
)
def test_an_unfinished_operation_is_named(make_repository: MakeRepository, marker: str, word: str) -> None:
    path = make_repository()
    (path / ".git" / marker).parent.mkdir(exist_ok=True)
    (path / ".git" / marker).write_text("x\n")
    with pytest.raises(RepositoryError, match=f"unfinished {word}"):
        resolve_target(open_repository(path), None)


def test_a_partial_clone_that_lacks_objects_is_refused(
    make_repository: MakeRepository, user_git: UserGit, tmp_path: Path
) -> None:
    origin = make_repository({"a": "1\n", "b": "b\n"})
    (origin / "a").write_text("2\n")
    user_git(origin, "commit", "-qam", "second")
    user_git(origin, "config", "uploadpack.allowFilter", "true")
    user_git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{origin}", "partial")
    user_git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{origin}", "emptier")
    for name in ("partial", "emptier"):
        with pytest.raises(RepositoryError, match=r"a partial clone and \d+ objects of branch 'main' are missing"):
            resolve_target(open_repository(tmp_path / name), None)


def test_a_shallow_clone_with_a_whole_tip_is_fine(
    make_repository: MakeRepository, user_git: UserGit, tmp_path: Path
) -> None:
    origin = make_repository({"a": "1\n"})
    user_git(origin, "commit", "-q", "--allow-empty", "-m", "second")
    user_git(tmp_path, "clone", "-q", "--depth=1", f"file://{origin}", "shallow")
    repository = open_repository(tmp_path / "shallow")
    commit = user_git(origin, "rev-parse", "HEAD")
    assert resolve_target(repository, None) == Target("main", commit)


def test_uncommitted_changes_are_listed_and_nothing_is_written(
    make_repository: MakeRepository, user_git: UserGit
) -> None:
    path = make_repository({"a": "1\n", "b": "1\n", "same": "1\n", ".gitignore": "*.log\n"})
    repository = open_repository(path)
    assert uncommitted_changes(repository) == ()
    (path / "a").write_text("2\n")
    user_git(path, "mv", "b", "c")
    (path / "new é").write_text("x\n")
    (path / "x.log").write_text("x\n")
    os.utime(path / "same", (1, 1))
    index = (path / ".git" / "index").read_bytes()
    assert uncommitted_changes(repository) == ("a", "b", "c", "new é")
    assert (path / ".git" / "index").read_bytes() == index


def test_plain_repositories_need_no_note(make_repository: MakeRepository, user_git: UserGit) -> None:
    path = make_repository({".gitattributes": "*.txt text eol=lf\n# *.x filter=lfs\n*.y filter=unknown\n"})
    assert check_features(open_repository(path), user_git(path, "rev-parse", "HEAD")) == ()


def test_submodules_are_noted(make_repository: MakeRepository, user_git: UserGit) -> None:
    path = make_repository()
    head = user_git(path, "rev-parse", "HEAD")
    user_git(path, "update-index", "--add", "--cacheinfo", f"160000,{head},vendor/lib")
    user_git(path, "commit", "-qm", "submodule")
    notes = check_features(open_repository(path), user_git(path, "rev-parse", "HEAD"))
    assert notes == ("1 submodule: empty folders in worktrees, landed unchanged",)


@pytest.mark.parametrize("place", ["committed", "private"])
def test_lfs_is_refused(make_repository: MakeRepository, user_git: UserGit, place: str) -> None:
    rule = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    path = make_repository({"x.bin": "x\n", **({"assets/.gitattributes": rule} if place == "committed" else {})})
    if place == "private":
        (path / ".git" / "info" / "attributes").write_text(rule)
    with pytest.raises(RepositoryError, match="Git LFS"):
        check_features(open_repository(path), user_git(path, "rev-parse", "HEAD"))


def test_a_filter_of_the_users_is_noted_and_a_required_one_refused(
    make_repository: MakeRepository, user_git: UserGit
) -> None:
    path = make_repository({".gitattributes": "*.ipynb filter=strip\n"})
    repository, commit = open_repository(path), user_git(path, "rev-parse", "HEAD")
    user_git(path, "config", "filter.strip.clean", "cat")
    assert check_features(repository, commit) == (
        "content filter 'strip' is not run in worktrees: files of agents are stored as they wrote them",
    )
    user_git(path, "config", "filter.strip.required", "true")
    with pytest.raises(RepositoryError, match="requires the content filter 'strip'"):
        check_features(repository, commit)
