"""The hub gives back what nothing refers to, never what somebody may be about to use, and stays cheap."""

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from graftline.git.compaction import compact
from graftline.git.hub import Hub
from graftline.git.repository import Repository, Target

OpenScene = Callable[[Path], Awaitable[tuple[Repository, Hub, Target]]]
UserGit = Callable[..., str]


async def unreferenced(hub: Hub, text: str, *, hours: float) -> str:
    """An object on no ref that was written some time ago."""
    blob = (await hub.run(["hash-object", "-w", "--stdin"], stdin=text.encode())).text
    written = time.time() - hours * 3600
    os.utime(hub.git_dir / "objects" / blob[:2] / blob[2:], (written, written))
    return blob


async def test_old_garbage_goes_and_what_is_young_referred_to_or_shared_stays(
    make_repository: Callable[..., Path], open_scene: OpenScene, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "one\n"})
    user_git(path, "gc", "--quiet")  # which makes the pack that the hub will share
    _, hub, target = await open_scene(path)
    packs = {pack.name: pack.stat().st_ino for pack in (hub.git_dir / "objects" / "pack").glob("*.pack")}
    shared = {pack.stat().st_ino for pack in (path / ".git" / "objects" / "pack").glob("*.pack")}
    assert set(packs.values()) == shared != set()
    old, young = await unreferenced(hub, "old\n" * 9999, hours=2), await unreferenced(hub, "young\n", hours=0.5)
    commit = await hub.commit_tree(await hub.tree_of(target.commit), [target.commit], "kept", {}, date="@0 +0000")
    await hub.create_ref("refs/graftline/run1/task/a/1", commit)

    assert await compact(hub, is_idle=lambda: False) is None
    assert await hub.run(["cat-file", "-e", old])
    freed = await compact(hub, is_idle=lambda: True)

    assert freed is not None
    told = await hub.run(["cat-file", "--batch-check=%(objecttype)"], stdin=f"{old}\n{young}\n{commit}\n".encode())
    assert told.text.splitlines() == [f"{old} missing", "blob", "commit"]
    after = {pack.name: pack.stat().st_ino for pack in (hub.git_dir / "objects" / "pack").glob("*.pack")}
    assert packs.items() <= after.items(), "to write the shared pack anew would double it"
    assert (await hub.run(["fsck", "--strict"])).status == 0
