"""What tests of worktrees share: taking an agent's work, and looking at the tree it became."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from graftline.git.hub import Hub
from graftline.git.repository import Repository, Target
from graftline.git.worktrees import Work, Worktree, collect_work

Scene = tuple[Repository, Hub, Target]
OpenScene = Callable[[Path], Awaitable[Scene]]
Cut = Callable[..., Awaitable[Worktree]]
MakeRepository = Callable[..., Path]
UserGit = Callable[..., str]
Seal = Callable[[Path], dict[str, str]]
TRAILERS = {"Graftline-Run": "run1", "Graftline-Task": "a"}


async def collect(hub: Hub, worktree: Worktree) -> Work:
    return await collect_work(hub, worktree, message="Do a", trailers=TRAILERS)


async def files_of(hub: Hub, tree: str) -> dict[str, str]:
    """Every path of a tree with its mode."""
    listed = await hub.run(["ls-tree", "-r", "-z", tree])
    return {path: head.split(" ")[0] for head, _, path in (entry.partition("\t") for entry in listed.fields)}


async def content_of(hub: Hub, tree: str, path: str) -> bytes:
    return (await hub.run(["cat-file", "blob", f"{tree}:{path}"])).stdout
