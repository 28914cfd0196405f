"""Worktrees: right files, a repository of their own, and all work taken from them, whatever the agent did."""

import hashlib
import os
import shutil
import socket
import struct
from pathlib import Path

import pytest

from graftline.errors import GitFailedError
from graftline.git.worktrees import Work, cut_worktree, remove_worktree, restore_work
from tests.git.collecting import (
    Cut,
    MakeRepository,
    OpenScene,
    Seal,
    UserGit,
    collect,
    content_of,
    files_of,
)


async def test_a_worktree_is_a_clean_repository_of_its_own(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "a\n", "d/b.txt": "b\n"})
    user_git(path, "tag", "v1")
    user_git(path, "branch", "-m", "feature/x")
    worktree = await cut(await open_scene(path), "task")
    assert user_git(worktree.path, "status", "--porcelain", "--ignored") == ""
    assert user_git(worktree.path, "remote") == ""
    assert user_git(worktree.path, "for-each-ref", "--format=%(refname) %(objectname)").splitlines() == [
        f"refs/heads/feature/x {worktree.base}",
        f"refs/heads/task {worktree.base}",
        f"refs/tags/v1 {worktree.base}",
    ]
    assert user_git(worktree.path, "symbolic-ref", "HEAD") == "refs/heads/task"
    assert user_git(worktree.path, "config", "user.email") == "test@example.com"
    assert user_git(worktree.path, "describe", "--tags") == "v1"


async def test_work_that_was_kept_is_put_into_a_new_worktree_uncommitted_and_taken_again(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    scene = await open_scene(make_repository({"changed.txt": "old\n", "gone.txt": "x\n", "same.txt": "same\n"}))
    first = await cut(scene, "first")
    (first.path / "changed.txt").write_text("new\n")
    (first.path / "gone.txt").unlink()
    (first.path / "added.txt").write_text("added\n")
    hub = scene[1]
    kept = await collect(hub, first)
    assert kept.commit is not None

    again = await cut(scene, "again")
    await restore_work(hub, again, kept.commit)
    files = {path.name: path.read_text() for path in again.path.iterdir() if path.is_file()}
    assert files == {"changed.txt": "new\n", "added.txt": "added\n", "same.txt": "same\n"}
    status = user_git(again.path, "status", "--porcelain").split("\n")
    assert [line.strip() for line in status] == ["M changed.txt", "D gone.txt", "?? added.txt"]
    (again.path / "more.txt").write_text("more\n")
    assert set((await collect(hub, again)).paths) == {"changed.txt", "gone.txt", "added.txt", "more.txt"}


@pytest.mark.parametrize("task", ["main", "MAIN"])
async def test_a_task_named_like_the_target_gets_another_branch(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, task: str
) -> None:
    worktree = await cut(await open_scene(make_repository()), task)
    assert user_git(worktree.path, "symbolic-ref", "HEAD") == f"refs/heads/task-{task}"


async def test_agents_share_no_stash_config_or_branches(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    scene = await open_scene(make_repository())
    one, other = await cut(scene, "one"), await cut(scene, "other")
    (one.path / "README.md").write_text("stashed\n")
    user_git(one.path, "stash")
    user_git(one.path, "config", "user.name", "Somebody")
    assert user_git(other.path, "stash", "list") == ""
    assert user_git(other.path, "config", "user.name") == "Test User"
    assert user_git(other.path, "branch", "--list", "one") == ""


async def test_cutting_and_collecting_change_nothing_of_the_users(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, seal: Seal
) -> None:
    path = make_repository({"a.txt": "a\n", "b.txt": "b\n", ".gitignore": "*.log\n", ".worktreeinclude": "*.log\n"})
    hooks = path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "pre-commit", "post-index-change", "post-commit"):
        (hooks / name).write_text("#!/bin/sh\ntouch ran-by-hook\nexit 1\n")
    (path / "a.txt").write_text("stash me\n")
    user_git(path, "stash")
    for hook in hooks.iterdir():
        hook.chmod(0o755)
    (path / "a.txt").write_text("changed\n")
    (path / "b.txt").write_text("b\n")  # same content, new time stamp: a refresh would rewrite the index
    (path / "new.txt").write_text("untracked\n")
    (path / "x.log").write_text("ignored\n")
    before = seal(path)
    scene = await open_scene(path)
    worktree = await cut(scene, "a")
    (worktree.path / "a.txt").write_text("work\n")
    user_git(worktree.path, "commit", "-qam", "own")
    (worktree.path / "b.txt").write_text("work\n")
    work = await collect(scene[1], worktree)
    await remove_worktree(worktree)
    assert work.paths == ("a.txt", "b.txt")
    assert seal(path) == before


async def test_work_is_committed_with_message_trailers_and_every_kind_of_path(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut
) -> None:
    path = make_repository({"keep": "k\n", "gone": "g\n", "swap/inside": "s\n", "flat": "f\n", "old name": "1\n2\n3\n"})
    scene = await open_scene(path)
    hub, worktree = scene[1], await cut(scene, "a")
    top = worktree.path
    (top / "gone").unlink()
    shutil.rmtree(top / "swap")
    (top / "swap").write_text("a file now\n")
    (top / "flat").unlink()
    (top / "flat").mkdir()
    (top / "flat" / "inside").write_text("a folder now\n")
    (top / "old name").rename(top / "new näme 日本 \t.txt")
    (top / "tool.sh").write_text("#!/bin/sh\n")
    (top / "tool.sh").chmod(0o755)
    (top / "link").symlink_to("/etc/passwd")
    (top / ("n" * 255)).write_text("long\n")
    work = await collect(hub, worktree)
    assert work.commit is not None
    assert await files_of(hub, work.tree) == {
        "flat/inside": "100644",
        "keep": "100644",
        "link": "120000",
        "new näme 日本 \t.txt": "100644",
        "n" * 255: "100644",
        "swap": "100644",
        "tool.sh": "100755",
    }
    assert await content_of(hub, work.tree, "link") == b"/etc/passwd"
    assert work.notes == ("link is a symlink out of the repository, to /etc/passwd",)
    shown = await hub.run(["show", "-s", "--format=%P|%an|%B", work.commit])
    expected = f"{worktree.base}|Test User|Do a\n\nGraftline-Run: run1\nGraftline-Task: a"
    assert shown.text.strip() == expected
    assert (work.own_commits, work.left_out) == (0, ())
    assert set(work.paths) >= {"gone", "swap/inside", "swap", "flat", "flat/inside", "old name", "tool.sh"}


async def test_nothing_changed_is_no_commit(make_repository: MakeRepository, open_scene: OpenScene, cut: Cut) -> None:
    scene = await open_scene(make_repository())
    worktree = await cut(scene, "a")
    (worktree.path / "README.md").touch()
    tree = await scene[1].tree_of(worktree.base)
    assert await collect(scene[1], worktree) == Work(None, tree, (), (), 0, ())


async def test_work_can_be_collected_again(make_repository: MakeRepository, open_scene: OpenScene, cut: Cut) -> None:
    scene = await open_scene(make_repository())
    worktree = await cut(scene, "a")
    (worktree.path / "new").write_text("1\n")
    first = await collect(scene[1], worktree)
    (worktree.path / "more").write_text("1\n")
    second = await collect(scene[1], worktree)
    assert (first.paths, second.paths) == (("new",), ("more", "new"))


async def test_a_change_in_the_very_moment_of_checkout_is_seen(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    scene = await open_scene(make_repository({"a.txt": "1\n"}))
    worktree = await cut(scene, "a")
    changed = worktree.path / "a.txt"
    changed.write_text("2\n")  # of the same size; now let checkout and change have happened in one second, long ago
    os.utime(changed, (1_700_000_000, 1_700_000_000))
    now = changed.stat()
    times = [part for stamp in (now.st_ctime_ns, now.st_mtime_ns) for part in divmod(stamp, 10**9)]
    for index in (worktree.index, worktree.path / ".git" / "index"):
        content = bytearray(index.read_bytes()[:-20])
        content[12:28] = struct.pack(">4I", *times)  # the only entry's time stamps follow the header of 12 bytes
        index.write_bytes(content + hashlib.sha1(content, usedforsecurity=False).digest())
        os.utime(index, ns=(now.st_mtime_ns, now.st_mtime_ns))
    assert user_git(worktree.path, "status", "--porcelain") == "M a.txt"
    assert (await collect(scene[1], worktree)).paths == ("a.txt",)


async def test_the_agents_index_has_the_time_stamp_of_ours(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut
) -> None:
    worktree = await cut(await open_scene(make_repository()), "a")
    assert (worktree.path / ".git" / "index").stat().st_mtime_ns == worktree.index.stat().st_mtime_ns


async def test_own_commits_stay_beneath_the_rest(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    scene = await open_scene(make_repository())
    hub, worktree = scene[1], await cut(scene, "a")
    for number in range(2):
        (worktree.path / f"{number}").write_text("x\n")
        user_git(worktree.path, "add", "-A")
        user_git(worktree.path, "commit", "-qm", f"own {number}")
    (worktree.path / "rest").write_text("x\n")
    work = await collect(hub, worktree)
    assert work.own_commits == 2
    line = await hub.run(["log", "--format=%s", f"{worktree.base}..{work.commit}"])
    assert line.text.splitlines() == ["Do a", "own 1", "own 0"]


@pytest.mark.parametrize("packed", [False, True])
async def test_work_committed_whole_needs_no_commit_of_ours(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, *, packed: bool
) -> None:
    scene = await open_scene(make_repository())
    hub, worktree = scene[1], await cut(scene, "a")
    user_git(worktree.path, "switch", "-qc", "elsewhere/deep")
    (worktree.path / "new").write_text("x\n")
    user_git(worktree.path, "add", "-A")
    user_git(worktree.path, "commit", "-qm", "own")
    if packed:
        user_git(worktree.path, "pack-refs", "--all")
    work = await collect(hub, worktree)
    assert work.commit == user_git(worktree.path, "rev-parse", "HEAD")
    assert (work.own_commits, await hub.resolve(work.commit)) == (1, work.commit)


@pytest.mark.parametrize("move", ["orphan", "behind", "unborn", "shallow"])
async def test_own_commits_off_the_base_become_one_commit_and_a_note(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, move: str
) -> None:
    path = make_repository()
    user_git(path, "commit", "-q", "--allow-empty", "-m", "second")
    scene = await open_scene(path)
    hub, worktree = scene[1], await cut(scene, "a")
    top = worktree.path
    (top / "new").write_text("x\n")
    if move == "orphan":
        user_git(top, "switch", "-q", "--orphan", "other")
        (top / "README.md").write_text("hello\n")
        (top / "new").write_text("x\n")
        user_git(top, "add", "-A")
        user_git(top, "commit", "-qm", "orphan")
    elif move == "behind":
        user_git(top, "reset", "-q", "HEAD^")
    elif move == "unborn":
        (top / ".git" / "HEAD").write_text("ref: refs/heads/nowhere\n")
    else:
        user_git(top, "add", "-A")
        user_git(top, "commit", "-qm", "own")
        user_git(top, "commit", "-q", "--allow-empty", "-m", "without its parent")
        (top / ".git" / "shallow").write_text(user_git(top, "rev-parse", "HEAD") + "\n")
    work = await collect(hub, worktree)
    assert (work.paths, work.own_commits) == (("new",), 0)
    assert (await hub.resolve(f"{work.commit}^")) == worktree.base
    assert len(work.notes) == 1
    assert "own commits are not kept" in work.notes[0]
    assert not (hub.git_dir / "shallow").exists()


async def test_ignored_files_are_left_out_and_named(
    make_repository: MakeRepository,
    open_scene: OpenScene,
    cut: Cut,
    isolated_environment: Path,
) -> None:
    path = make_repository({".gitignore": "*.log\nbuilt/\n", "kept": "x\n"})
    (path / ".git" / "info" / "exclude").write_text("private-*\n")
    ignore = isolated_environment / "config" / "git" / "ignore"
    ignore.parent.mkdir(parents=True)
    ignore.write_text("*.swp")  # no line end: the next rules must not be glued to it
    scene = await open_scene(path)
    worktree = await cut(scene, "a")
    for name in (
        "x.log",
        "built/deep/x",
        "private-notes",
        ".x.swp",
        "node_modules/m/index.js",
        "p/__pycache__/m.pyc",
        "real",
    ):
        (worktree.path / name).parent.mkdir(parents=True, exist_ok=True)
        (worktree.path / name).write_text("x\n")
    work = await collect(scene[1], worktree)
    assert work.paths == ("real",)
    assert list(work.left_out) == [".x.swp", "built/", "node_modules/", "p/__pycache__/", "private-notes", "x.log"]


async def test_an_ignored_file_committed_by_force_is_left_out_of_history_too(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    scene = await open_scene(make_repository({".gitignore": "secret/\n"}))
    hub, worktree = scene[1], await cut(scene, "a")
    (worktree.path / "secret").mkdir()
    (worktree.path / "secret" / "key").write_text("key\n")
    (worktree.path / "new").write_text("x\n")
    user_git(worktree.path, "add", "-A", "-f")
    user_git(worktree.path, "commit", "-qm", "all of it")
    work = await collect(hub, worktree)
    assert (work.paths, work.left_out, work.own_commits) == (("new",), ("secret/",), 0)
    assert "secret/key, which is ignored" in work.notes[0]


async def test_a_repository_made_inside_is_taken_as_files(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    scene = await open_scene(make_repository({"src/a.py": "1\n"}))
    hub, worktree = scene[1], await cut(scene, "a")
    for folder in ("fresh", "fresh/inner", "src", "linked"):
        (worktree.path / folder).mkdir(exist_ok=True)
        (worktree.path / folder / "new.py").write_text("2\n")
        if folder == "linked":
            (worktree.path / folder / ".git").write_text("gitdir: /nowhere\n")
        else:
            user_git(worktree.path / folder, "init", "-q")
    user_git(worktree.path / "fresh", "add", "new.py")
    user_git(worktree.path / "fresh", "commit", "-qm", "nested")
    work = await collect(hub, worktree)
    assert work.paths == ("fresh/inner/new.py", "fresh/new.py", "linked/new.py", "src/new.py")
    assert sorted(note.partition(" was ")[0] for note in work.notes) == ["fresh/", "fresh/inner/"]


async def test_a_submodule_is_an_empty_folder_and_stays_what_it_was(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    library = make_repository({"lib.py": "1\n"}, name="library")
    path = make_repository()
    user_git(path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor/lib")
    user_git(path, "commit", "-qm", "submodule")
    scene = await open_scene(path)
    hub, worktree = scene[1], await cut(scene, "a")
    assert list((worktree.path / "vendor" / "lib").iterdir()) == []
    user_git(worktree.path / "vendor" / "lib", "init", "-q")
    (worktree.path / "vendor" / "lib" / "lib.py").write_text("changed\n")
    (worktree.path / "new").write_text("x\n")
    work = await collect(hub, worktree)
    assert work.paths == ("new",)
    assert (await files_of(hub, work.tree))["vendor/lib"] == "160000"


async def test_what_git_cannot_take_is_said_and_the_rest_is_kept(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut
) -> None:
    scene = await open_scene(make_repository({"tracked": "x\n", "gone": "x\n"}))
    worktree = await cut(scene, "a")
    (worktree.path / "tracked").unlink()
    os.mkfifo(worktree.path / "tracked")
    os.mkfifo(worktree.path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        previous = Path.cwd()
        os.chdir(worktree.path)  # a socket's address has room for about 100 bytes
        try:
            server.bind("socket")
        finally:
            os.chdir(previous)
    (worktree.path / "gone").unlink()
    (worktree.path / "new").write_text("x\n")
    work = await collect(scene[1], worktree)
    assert work.paths == ("gone", "new")
    assert work.notes == ("not committed: tracked: can only add regular files, symbolic links or git-directories",)


async def test_a_file_in_a_wrong_encoding_is_kept_as_it_is(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut
) -> None:
    scene = await open_scene(make_repository({".gitattributes": "*.u16 text working-tree-encoding=UTF-16\n"}))
    worktree = await cut(scene, "a")
    (worktree.path / "bad.u16").write_bytes(b"plain\n")
    (worktree.path / "good.u16").write_bytes("good\n".encode("utf-16"))
    (worktree.path / "new").write_text("x\n")
    work = await collect(scene[1], worktree)
    assert work.paths == ("bad.u16", "good.u16", "new")
    assert await content_of(scene[1], work.tree, "bad.u16") == b"plain\n"
    assert await content_of(scene[1], work.tree, "good.u16") == b"good\n"
    assert [note.partition(":")[0] for note in work.notes] == ["bad.u16 is committed byte for byte"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_unreadable_files_and_folders_are_made_readable_and_kept(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut
) -> None:
    scene = await open_scene(make_repository())
    worktree = await cut(scene, "a")
    (worktree.path / "closed").mkdir()
    (worktree.path / "closed" / "file").write_text("x\n")
    (worktree.path / "closed").chmod(0)
    (worktree.path / "file").write_text("x\n")
    (worktree.path / "file").chmod(0)
    work = await collect(scene[1], worktree)
    assert (work.paths, work.notes) == (("closed/file", "file"), ())


@pytest.mark.parametrize("replacement", ["nothing", "link", "file"])
async def test_a_worktree_that_is_gone_is_said(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, tmp_path: Path, replacement: str
) -> None:
    scene = await open_scene(make_repository())
    worktree = await cut(scene, "a")
    shutil.rmtree(worktree.path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "private").write_text("x\n")
    if replacement == "link":
        worktree.path.symlink_to(elsewhere)
    elif replacement == "file":
        worktree.path.write_text("x\n")
    work = await collect(scene[1], worktree)
    assert (work.commit, work.paths, work.notes) == (
        None,
        (),
        ("the worktree a is gone: there is nothing to commit",),
    )
    await remove_worktree(worktree)
    assert not os.path.lexists(worktree.path)
    assert (elsewhere / "private").exists()


async def test_removing_copes_with_read_only_folders_and_leaves_nothing_but_history_set_aside(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut
) -> None:
    worktree = await cut(await open_scene(make_repository()), "a")
    deep = worktree.path / "deep" / "deeper"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x\n")
    deep.chmod(0o500)
    deep.parent.chmod(0)
    await remove_worktree(worktree)
    await remove_worktree(worktree)
    assert list(worktree.path.parent.iterdir()) == []


async def test_a_cut_that_fails_leaves_nothing(
    make_repository: MakeRepository, open_scene: OpenScene, tmp_path: Path
) -> None:
    repository, hub, target = await open_scene(make_repository())
    path = tmp_path / "state" / "worktrees" / "a"
    with pytest.raises(GitFailedError):
        await cut_worktree(
            hub, "f" * 40, path=path, branch="a", target=target.branch, repository=repository, include_file="none"
        )
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("how", ["config", "attributes", "private attributes"])
async def test_line_ends_are_the_users(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, how: str
) -> None:
    path = make_repository(
        {"a.txt": "1\n2\n", **({".gitattributes": "*.txt eol=crlf\n"} if how == "attributes" else {})}
    )
    if how == "config":
        user_git(path, "config", "core.autocrlf", "true")
        user_git(path, "config", "core.safecrlf", "true")  # would refuse mixed line ends
    elif how == "private attributes":
        (path / ".git" / "info" / "attributes").write_text("*.txt text eol=crlf filter=evil merge=union\n")
    scene = await open_scene(path)
    worktree = await cut(scene, "a")
    assert (worktree.path / "a.txt").read_bytes() == b"1\r\n2\r\n"
    assert user_git(worktree.path, "status", "--porcelain") == ""
    (worktree.path / "a.txt").write_bytes(b"1\r\n2\r\n3\n")
    work = await collect(scene[1], worktree)
    assert await content_of(scene[1], work.tree, "a.txt") == b"1\n2\n3\n"


async def test_few_git_processes_are_needed(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await open_scene(make_repository())
    real = shutil.which("git")
    counter = tmp_path / "count"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(f'#!/bin/sh\necho x >> {counter}\nexec {real} "$@"\n')
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    worktree = await cut(scene, "a")
    (worktree.path / "new").write_text("x\n")
    work = await collect(scene[1], worktree)
    assert work.commit is not None
    assert len(counter.read_text().split()) <= 8
