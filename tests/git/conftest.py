"""Fixtures of the git layer: a repository with its hub, worktrees cut from it, a seal on the user's files."""

import hashlib
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from graftline.git.hub import Hub, open_hub
from graftline.git.repository import Repository, Target, open_repository, resolve_target
from graftline.git.worktrees import Worktree, cut_worktree

Scene = tuple[Repository, Hub, Target]


@pytest.fixture
def user_git() -> Callable[..., str]:
    """The user's own git, as on a command line: `user_git(folder, "status")`."""

    def run(folder: Path, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def open_scene(tmp_path: Path) -> Callable[[Path], Awaitable[Scene]]:
    """Open a repository with its hub and fetch the base of run `run1`."""

    async def opened(path: Path) -> Scene:
        repository = open_repository(path)
        target = resolve_target(repository, None)
        hub = await open_hub(repository, tmp_path / "state")
        await hub.fetch_base(repository, "run1", target.commit)
        return repository, hub, target

    return opened


@pytest.fixture
def cut(tmp_path: Path) -> Callable[..., Awaitable[Worktree]]:
    """Cut a worktree for a task: `cut(scene, "a")`, or `cut(scene, "a", commit=...)`."""

    async def make(scene: Scene, task_id: str, *, commit: str | None = None) -> Worktree:
        repository, hub, target = scene
        return await cut_worktree(
            hub,
            commit or target.commit,
            path=tmp_path / "state" / "worktrees" / "run1" / task_id,
            branch=task_id,
            target=target.branch,
            repository=repository,
            include_file=".worktreeinclude",
        )

    return make


@pytest.fixture
def seal() -> Callable[[Path], dict[str, str]]:
    """Every byte of a repository and its checkout, and what git says of them; compare before and after."""

    def digest(root: Path) -> dict[str, str]:
        found = {}
        for folder, names, files in os.walk(root):
            for name in (*names, *files):
                path = Path(folder, name)
                if path.is_symlink():
                    found[str(path)] = f"link {path.readlink()}"
                elif path.is_file():
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                    found[str(path)] = f"{path.stat().st_mode:o} {content}"
                else:
                    found[str(path)] = f"{path.lstat().st_mode:o}"
        for arguments in (
            ("status", "--porcelain=v2", "-z", "--ignored", "--branch"),
            ("stash", "list"),
            ("for-each-ref",),
            ("config", "--list", "--local"),
        ):
            command = ["git", "--no-optional-locks", *arguments]
            found[arguments[0]] = subprocess.run(
                command, cwd=root, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
            ).stdout
        return found

    return digest
