"""Gives back the space of objects that nothing in the hub refers to any more."""

from collections.abc import Callable
from pathlib import Path

import anyio.to_thread

from graftline.file_lock import exclusive_lock
from graftline.git.folders import disk_bytes
from graftline.git.hub import Hub

GRACE = "1.hour.ago"
"""Younger objects stay: their writer may be about to put them on a ref."""


async def compact(hub: Hub, *, is_idle: Callable[[], bool]) -> int | None:
    """Collect the hub's garbage and return the bytes that were freed; None when somebody works in the hub.

    `is_idle` is asked under the lock that everybody takes who begins to work there, so a run that starts meanwhile
    waits. Packs that the user's repository still shares by hard link stay: to write them anew would double them.
    """
    async with exclusive_lock(hub.git_dir.parent / "hub.lock"):
        if not is_idle():
            return None
        before = await anyio.to_thread.run_sync(disk_bytes, hub.git_dir)
        keep = [f"--keep-pack={pack.name}" for pack in _shared_packs(hub.git_dir)]
        # What `git gc` does, which cannot be told to leave packs alone that have no .keep file.
        await hub.run(["pack-refs", "--all", "--prune"])
        await hub.run(
            ["repack", "-d", "-l", "-A", "-q", "-n", f"--unpack-unreachable={GRACE}", *keep],
            config={"repack.writeBitmaps": "false"},
        )
        await hub.run(["prune", f"--expire={GRACE}"])
        return before - await anyio.to_thread.run_sync(disk_bytes, hub.git_dir)


def _shared_packs(git_dir: Path) -> list[Path]:
    return [pack for pack in (git_dir / "objects" / "pack").glob("*.pack") if pack.stat().st_nlink > 1]
