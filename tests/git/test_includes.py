"""Files that `.worktreeinclude` names are copied into worktrees, and never land."""

import os
from pathlib import Path

from tests.git.collecting import (
    Cut,
    MakeRepository,
    OpenScene,
    UserGit,
    collect,
)


async def test_included_files_are_there_and_never_committed(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({".gitignore": ".env*\nlocal/\n", ".worktreeinclude": ".env*\n!.env.prod\n/local/\n"})
    (path / ".env").write_text("KEY=1\n")
    (path / ".env").chmod(0o600)
    (path / ".env.prod").write_text("KEY=2\n")
    (path / "local" / "deep").mkdir(parents=True)
    (path / "local" / "deep" / "[x] é").write_text("x\n")
    (path / "untracked").write_text("not ignored, so not copied\n")
    scene = await open_scene(path)
    worktree = await cut(scene, "a")
    assert worktree.copied == (".env", "local/deep/[x] é")
    assert (worktree.path / ".env").read_text() == "KEY=1\n"
    assert (worktree.path / ".env").stat().st_mode & 0o777 == 0o600
    assert not (worktree.path / "untracked").exists()
    assert user_git(worktree.path, "status", "--porcelain") == ""
    # The agent stops ignoring them: they must not become work.
    (worktree.path / ".gitignore").unlink()
    (worktree.path / ".git" / "info" / "exclude").unlink()
    (worktree.path / "new").write_text("x\n")
    work = await collect(scene[1], worktree)
    assert (work.paths, work.left_out) == ((".gitignore", "new"), ())
    blob = user_git(path, "hash-object", ".env")
    assert (await scene[1].run(["cat-file", "-e", blob], accept=frozenset({0, 1}))).status == 1


async def test_an_included_file_committed_by_the_agent_does_not_land(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({".gitignore": ".env\n", ".worktreeinclude": ".env\n"})
    (path / ".env").write_text("KEY=1\n")
    scene = await open_scene(path)
    worktree = await cut(scene, "a")
    user_git(worktree.path, "add", "-f", ".env")
    user_git(worktree.path, "commit", "-qm", "oops")
    user_git(worktree.path, "rm", "-q", "--cached", ".env")
    (worktree.path / "new").write_text("x\n")
    user_git(worktree.path, "add", "new")
    user_git(worktree.path, "commit", "-qm", "removed again")
    work = await collect(scene[1], worktree)
    assert (work.paths, work.own_commits) == (("new",), 0)
    assert ".env, a private file" in work.notes[0]


async def test_included_files_never_pass_a_symlink_or_replace_a_file(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("outside\n")
    path = make_repository({".worktreeinclude": "*\n", "tracked.txt": "tracked\n"})
    (path / "conf").symlink_to(outside)
    user_git(path, "add", "-A")
    user_git(path, "commit", "-qm", "a folder that leads out")
    scene = await open_scene(path)
    # Meanwhile, in the user's checkout: a real folder there, links elsewhere, a tracked file that is none any more.
    (path / "conf").unlink()
    (path / "conf").mkdir()
    (path / "conf" / "private").write_text("x\n")
    (path / "link").symlink_to(outside / "secret")
    (path / "folder-link").symlink_to(outside)
    os.mkfifo(path / "pipe")
    (path / "plain").write_text("x\n")
    user_git(path, "rm", "-q", "--cached", "tracked.txt")
    (path / "tracked.txt").write_text("the user's own\n")
    (path / ".git" / "info" / "exclude").write_text("*\n")
    worktree = await cut(scene, "a")
    assert worktree.copied == ("plain",)
    assert sorted(entry.name for entry in outside.iterdir()) == ["secret"]
    assert (worktree.path / "tracked.txt").read_text() == "tracked\n"
