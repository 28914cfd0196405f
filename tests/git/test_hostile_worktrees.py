"""What an agent plants in its worktree is never run by the orchestrator."""

import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from graftline.git.hub import Hub
from graftline.git.landing import land
from graftline.git.merging import Contribution, Merger
from graftline.git.repository import Repository, Target
from graftline.git.worktrees import Worktree, collect_work, cut_worktree, remove_worktree

Scene = tuple[Repository, Hub, Target]
OpenScene = Callable[[Path], Awaitable[Scene]]
Cut = Callable[..., Awaitable[Worktree]]
MakeRepository = Callable[..., Path]
UserGit = Callable[..., str]
HOOKS = (
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "pre-auto-gc",
    "pre-commit",
    "reference-transaction",
)


def _config(worktree: Path, *settings: tuple[str, str]) -> None:
    for key, value in settings:
        subprocess.run(["git", "config", "--file", worktree / ".git" / "config", key, value], check=True)


def plant_hooks(worktree: Path, command: str) -> None:
    folder = worktree / ".git" / "hooks"
    folder.mkdir(exist_ok=True)
    for name in HOOKS:
        (folder / name).write_text(f"#!/bin/sh\n{command}\n")
        (folder / name).chmod(0o755)


def plant_file_system_monitor(worktree: Path, command: str) -> None:
    _config(worktree, ("core.fsmonitor", f"{command};"), ("core.untrackedCache", "true"))


def plant_filter(worktree: Path, command: str) -> None:
    (worktree / ".gitattributes").write_text("* filter=evil\n")
    _config(worktree, ("filter.evil.clean", f"{command}; cat"), ("filter.evil.smudge", f"{command}; cat"))


def plant_filter_for_lfs(worktree: Path, command: str) -> None:
    (worktree / ".gitattributes").write_text("* filter=lfs diff=lfs merge=lfs -text\n")
    _config(worktree, ("filter.lfs.clean", f"{command}; cat"), ("filter.lfs.required", "true"))


def plant_diff_commands(worktree: Path, command: str) -> None:
    (worktree / ".gitattributes").write_text("* diff=evil\n")
    _config(worktree, ("diff.external", command), ("diff.evil.textconv", f"{command}; cat"))


def plant_merge_driver(worktree: Path, command: str) -> None:
    (worktree / ".gitattributes").write_text("* merge=evil\n")
    (worktree / ".git" / "info" / "attributes").write_text("* merge=evil filter=evil\n")
    _config(worktree, ("merge.evil.driver", f"{command}; false"), ("filter.evil.clean", f"{command}; cat"))


def plant_git_file(worktree: Path, command: str) -> None:
    shutil.move(worktree / ".git", worktree.parent / "moved.git")
    (worktree / ".git").write_text(f"gitdir: {worktree.parent / 'moved.git'}\n")
    settings = worktree.parent / "moved.git" / "config"
    subprocess.run(["git", "config", "--file", settings, "core.fsmonitor", f"{command};"], check=True)


def plant_git_link(worktree: Path, command: str) -> None:
    plant_file_system_monitor(worktree, command)
    shutil.move(worktree / ".git", worktree.parent / "moved.git")
    (worktree / ".git").symlink_to(worktree.parent / "moved.git")


def plant_included_config(worktree: Path, command: str) -> None:
    (worktree / "extra.config").write_text(f'[core]\n\tfsmonitor = "{command};"\n')
    _config(worktree, ("include.path", "../extra.config"))


def plant_worktree_config(worktree: Path, command: str) -> None:
    _config(worktree, ("core.repositoryFormatVersion", "1"), ("extensions.worktreeConfig", "true"))
    (worktree / ".git" / "config.worktree").write_text(f'[core]\n\tfsmonitor = "{command};"\n')


def plant_pack_hook(worktree: Path, command: str) -> None:
    _config(worktree, ("uploadpack.packObjectsHook", f'{command}; "$@"'), ("core.alternateRefsCommand", command))


def plant_promisor_remote(worktree: Path, command: str) -> None:
    """The repository lacks an object, and its configuration says that a command fetches it."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=worktree, check=True, capture_output=True, text=True)
    _config(
        worktree,
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", f"ext::sh -c {command.replace(' ', '% ')}"),
        ("protocol.ext.allow", "always"),
        ("remote.origin.uploadpack", command),
    )
    blob = subprocess.run(
        ["git", "rev-parse", f"{head.stdout.strip()}:own.txt"], cwd=worktree, check=True, capture_output=True, text=True
    ).stdout
    (worktree / ".git" / "objects" / blob[:2] / blob.strip()[2:]).unlink()


def plant_nested_repository(worktree: Path, command: str) -> None:
    for place in ("nested", "module"):  # `module` is a submodule of the user's repository
        folder = worktree / place
        folder.mkdir(exist_ok=True)
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        (folder / "file").write_text("x\n")
        subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
        subprocess.run(["git", "commit", "-qm", "nested"], cwd=folder, check=True)
        _config(folder, ("core.fsmonitor", f"{command};"))
        plant_hooks(folder, command)


def plant_signing_and_editor(worktree: Path, command: str) -> None:
    program = worktree / "program"  # some of these settings name a file, not a command line
    program.write_text(f"#!/bin/sh\n{command}\n")
    program.chmod(0o755)
    _config(
        worktree,
        ("commit.gpgSign", "true"),
        ("gpg.program", str(program)),
        ("core.editor", command),
        ("core.pager", str(program)),
        ("core.sshCommand", command),
        ("credential.helper", f"!{command}"),
    )


VECTORS: dict[Callable[[Path, str], None], tuple[str, ...] | None] = {
    # What is planted, and the careless command that would run it.
    plant_hooks: ("commit", "-qam", "x"),
    plant_file_system_monitor: ("status",),
    plant_filter: ("add", "-A"),
    plant_filter_for_lfs: ("add", "-A"),
    plant_diff_commands: ("diff", "HEAD~1"),
    plant_merge_driver: ("add", "-A"),
    plant_git_file: ("status",),
    plant_git_link: ("status",),
    plant_included_config: ("status",),
    plant_worktree_config: ("status",),
    plant_pack_hook: None,
    plant_promisor_remote: None,  # by then the lacking object lies in the hub, where the worktree finds it
    plant_nested_repository: ("status",),
    plant_signing_and_editor: ("commit", "-qam", "x"),
}


@pytest.mark.parametrize("plant", VECTORS, ids=lambda plant: plant.__name__.removeprefix("plant_"))
async def test_nothing_planted_in_a_worktree_is_run(
    make_repository: MakeRepository,
    open_scene: OpenScene,
    cut: Cut,
    user_git: UserGit,
    tmp_path: Path,
    plant: Callable[[Path, str], None],
) -> None:
    path = make_repository({"a.txt": "1\n2\n3\n"})
    user_git(path, "update-index", "--add", "--cacheinfo", f"160000,{user_git(path, 'rev-parse', 'HEAD')},module")
    user_git(path, "commit", "-qm", "a submodule")
    (path / "module").mkdir()
    repository, hub, target = scene = await open_scene(path)
    worktree = await cut(scene, "a")
    marker = tmp_path / "ran"
    (worktree.path / "own.txt").write_text("own\n")
    user_git(worktree.path, "add", "own.txt")
    user_git(worktree.path, "commit", "-qm", "own")
    plant(worktree.path, f"touch {marker}")
    (worktree.path / "a.txt").write_text("1\n2\nthree\n")

    trailers = {"Graftline-Run": "run1"}
    work = await collect_work(hub, worktree, message="Do a", trailers=trailers)
    assert work.commit is not None
    tree = await hub.tree_of(target.commit)
    blob = (await hub.run(["hash-object", "-w", "--stdin"], stdin=b"one\n2\n3\n")).text
    listing = (await hub.run(["ls-tree", "-z", tree])).stdout.split(b"\0")
    lines = [line for line in listing if line and not line.endswith(b"\ta.txt")] + [
        f"100644 blob {blob}\ta.txt".encode()
    ]
    other_tree = (await hub.run(["mktree", "-z"], stdin=b"\0".join(lines) + b"\0")).text
    other = await hub.commit_tree(other_tree, [target.commit], "Do b", trailers)
    contributions = [Contribution("b", other, "b", 1), Contribution("a", work.commit, "a", 1)]
    integration = await Merger(hub, "run1").fold(target.commit, contributions, depends_on={})
    assert await hub.diff(target.commit, integration.commit) != b""
    again = await cut_worktree(
        hub,
        integration.commit,
        path=worktree.path.with_name("again"),
        branch="again",
        target="main",
        repository=repository,
        include_file=".worktreeinclude",
    )
    landed = await land(
        repository, hub, target=target, commit=integration.commit, mode="auto", result_branch="graftline/x"
    )
    assert landed.landed
    assert (again.path / "own.txt").read_text() == (path / "own.txt").read_text() == "own\n"
    assert (path / "a.txt").read_text().splitlines()[2] in {"three", "3"}
    assert not marker.exists()

    careless = VECTORS[plant]
    if careless is not None:  # it was armed: the same worktree does run it for who uses git there
        _run_carelessly(worktree.path, careless)
        assert marker.exists()
    await remove_worktree(worktree)
    assert not os.path.lexists(worktree.path)


def _run_carelessly(worktree: Path, arguments: tuple[str, ...]) -> None:
    """Put back what was moved out of the way and use git as one would, to see what is run then."""
    aside = worktree.with_name(f"{worktree.name}.aside")
    for repository in aside.iterdir() if aside.exists() else ():
        repository.rename(worktree / repository.name.partition("-")[2] / ".git")
    subprocess.run(["git", *arguments], cwd=worktree, check=False, capture_output=True)
