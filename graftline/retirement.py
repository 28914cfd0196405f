"""Worktrees whose work is safe: they go when the run ends, or at once when they may take much room.

Deleting one task's files while the next task's are written slows the writing down: ext4 passes over the places of files
deleted within the last minutes, and searches (64 tasks of 1 s on 500 files, 4 at a time: 23.8 s when each worktree went
at once, 20.4 s when they went together at the end).
"""

from graftline.git.worktrees import Worktree, remove_worktree
from graftline.preflight import RETIRED_BYTES
from graftline.run import Run


async def retire(run: Run, worktree: Worktree, *, may_wait: bool) -> None:
    """Have a worktree removed, with the others when the run ends if it may wait for that.

    One that holds more than files of the repository (packages, environments, build output) may be any size, and does
    not wait, unless another attempt could go on in it.
    """
    if not may_wait:
        await remove_worktree(worktree)
        return
    run.retired.append(worktree)
    while len(run.retired) * run.tree_bytes > RETIRED_BYTES:
        await remove_worktree(run.retired.popleft())


async def remove_retired(run: Run) -> None:
    """Remove every worktree that still waits."""
    while run.retired:
        await remove_worktree(run.retired.popleft())
