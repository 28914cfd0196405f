"""Trees made without a checkout: files added to one, or put back as they were in another."""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from graftline.git.hub import Hub

REGULAR_FILE = "100644"


async def add_files(hub: Hub, commit: str, files: Mapping[str, str]) -> str:
    """The tree of a commit with files added or replaced."""
    entries: list[tuple[str, str, str]] = []
    for path, content in files.items():
        blob = (await hub.run(["hash-object", "-w", "--no-filters", "--stdin"], stdin=content.encode())).text
        entries.append((REGULAR_FILE, blob, path))
    return await _edit(hub, commit, entries)


async def restore_files(hub: Hub, commit: str, paths: Iterable[str], source: str) -> str:
    """The tree of a commit with some files as they are in another; what is not there goes."""
    entries: list[tuple[str, str, str]] = []
    for path in paths:
        listed = (await hub.run(["ls-tree", "-z", "--full-tree", source, "--", f":(literal){path}"])).fields
        mode, _, rest = listed[0].partition(" ") if listed else ("0", "", "")
        blob = rest.split()[1] if listed else "0" * len(commit)
        entries.append((mode, blob, path))
    return await _edit(hub, commit, entries)


async def _edit(hub: Hub, commit: str, entries: list[tuple[str, str, str]]) -> str:
    with tempfile.TemporaryDirectory(prefix="graftline-") as folder:
        index = Path(folder) / "index"
        await hub.run(["read-tree", commit], index=index)
        lines = "".join(f"{mode} {blob}\t{path}\0" for mode, blob, path in entries)
        await hub.run(
            ["update-index", "-z", "--index-info"], index=index, stdin=lines.encode("utf-8", "surrogateescape")
        )
        return (await hub.run(["write-tree"], index=index)).text
