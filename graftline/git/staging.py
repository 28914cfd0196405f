"""Staging: turns the files of a worktree into a tree, through the hub and an index of our own.

Nothing in the worktree is trusted. In particular git enters a repository inside the worktree (and obeys its
configuration) when it looks for changes in a submodule, so every `.git` below the top is moved out of the way first.
"""

import itertools
import os
import re
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import anyio.to_thread

from graftline.errors import GitFailedError
from graftline.git.folders import make_accessible
from graftline.git.hub import Hub

GITLINK = "H 160000 "
MOST_NOTES = 5
DENIED = "Permission denied"
WRONG_ENCODING = re.compile(
    r"^fatal: (?:failed to encode '(.*)' from|BOM is (?:required|prohibited) in '(.*)' if encoded as) ", re.MULTILINE
)


@dataclass(frozen=True)
class Staged:
    """The files of a worktree as a tree; `private` are the paths that must never be committed."""

    tree: str
    left_out: tuple[str, ...]
    private: frozenset[str]
    notes: tuple[str, ...]


async def stage_work(hub: Hub, path: Path, *, index: Path, exclude: Path) -> Staged:
    """The tree of all that is not ignored in a worktree, over the index it was cut with, which stays as it is."""
    private = frozenset(os.fsdecode(name) for name in exclude.read_bytes().split(b"\0") if name)
    staged = await _stage(hub, path, index, private)
    if any(
        DENIED in note for note in staged.notes
    ):  # closed by the agent, and ours to open: it is its work all the same
        await anyio.to_thread.run_sync(make_accessible, path)
        staged = await _stage(hub, path, index, private)
    notes = staged.notes
    if len(notes) > MOST_NOTES:
        notes = (*notes[:MOST_NOTES], f"and {len(notes) - MOST_NOTES} more")
    return Staged(staged.tree, staged.left_out, private, notes)


async def _stage(hub: Hub, path: Path, index: Path, private: frozenset[str]) -> Staged:
    staging = index.with_name(f"{index.name}.staging")
    # With its time stamp, by which git knows that a file changed in the moment of checkout must be read again.
    await anyio.to_thread.run_sync(shutil.copy2, index, staging)
    try:
        untracked, notes = await _untracked(hub, path, staging)
        # Private files are ignored in the user's checkout, but an agent may have changed the ignore rules.
        exposed = sorted(name for name in private if any(_is_at(entry, name) for entry in untracked))
        notes += await _add(hub, path, staging, exposed)
        ignored = await hub.run(
            ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"],
            work_tree=path,
            index=staging,
        )
        left_out = tuple(entry for entry in _innermost(ignored.fields) if not _holds_only(path, entry, private))
        tree = (await hub.run(["write-tree"], index=staging)).text
    finally:
        staging.unlink(missing_ok=True)
    return Staged(tree, left_out, private, tuple(notes))


async def _add(hub: Hub, path: Path, staging: Path, exposed: Sequence[str]) -> list[str]:
    """Stage everything but `exposed`; a note for what could not be staged as it should be."""
    raw: list[str] = []
    while True:
        specs = [".", *(f":(exclude,literal){name}" for name in (*exposed, *raw))]
        added = await hub.run(
            ["add", "--all", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul"],
            work_tree=path,
            index=staging,
            config={"core.safecrlf": "false"},
            stdin=b"".join(os.fsencode(spec) + b"\0" for spec in specs),
            accept=frozenset({0, 1, 128}),
        )
        # git gives up at the first file that is not in the encoding its attributes declare.
        wrong = WRONG_ENCODING.search(added.stderr) if added.status == 128 else None
        name = wrong[1] or wrong[2] if wrong is not None else ""
        if not name or name in raw:
            break
        raw.append(name)
    # A file git cannot take (a pipe in place of a tracked file, one without read permission) keeps its base version.
    problems = [line for line in added.stderr.splitlines() if line.startswith(("error: ", "warning: could not open"))]
    if added.status == 128 or (added.status and not problems):
        raise GitFailedError(("add", "--all"), added.status, added.stderr)
    for name in raw:
        await _add_raw(hub, path, staging, name)
    return [f"not committed: {problem.partition(': ')[2]}" for problem in problems] + [
        f"{name} is committed byte for byte: it is not in the encoding its attributes declare" for name in raw
    ]


async def _add_raw(hub: Hub, path: Path, staging: Path, name: str) -> None:
    blob = (await hub.run(["hash-object", "-w", "--no-filters", "--", name], work_tree=path)).text
    mode = "100755" if (path / name).stat().st_mode & stat.S_IXUSR else "100644"
    await hub.run(["update-index", "--add", "--cacheinfo", f"{mode},{blob},{name}"], work_tree=path, index=staging)


async def _untracked(hub: Hub, path: Path, staging: Path) -> tuple[tuple[str, ...], list[str]]:
    """The untracked files, once every `.git` below the top has been moved out of the worktree; a note for each."""
    notes: list[str] = []
    aside = path.with_name(f"{path.name}.aside")
    while True:
        listed = await hub.run(
            ["ls-files", "-t", "-z", "--stage", "--others", "--exclude-standard"], work_tree=path, index=staging
        )
        untracked = tuple(field[2:] for field in listed.fields if field.startswith("? "))
        places = [entry for entry in untracked if entry.endswith("/")]
        places += [field.partition("\t")[2] for field in listed.fields if field.startswith(GITLINK)]
        moved = [place for place in places if _move_repository(path, PurePosixPath(place), aside)]
        if not moved:  # once more after each move: a repository may hold another
            return untracked, notes
        notes += [f"{place} was a repository of its own: its files are taken, its history is not" for place in moved]


def _move_repository(root: Path, place: PurePosixPath, aside: Path) -> bool:
    folder = root
    for part in place.parts:
        folder /= part
        if folder.is_symlink() or not folder.is_dir():
            return False
    if not os.path.lexists(folder / ".git"):
        return False
    aside.mkdir(mode=0o700, exist_ok=True)
    number = sum(1 for _ in aside.iterdir())
    (folder / ".git").rename(aside / f"{number}-{folder.name[:100]}")
    return True


def _innermost(entries: Sequence[str]) -> list[str]:
    """The entries without those that lead to another one: git names a folder of nothing but ignored ones as well."""
    following = itertools.pairwise([*sorted(entries), ""])
    return [entry for entry, after in following if not (entry.endswith("/") and after.startswith(entry))]


def _is_at(entry: str, path: str) -> bool:
    return entry == path or entry.startswith(f"{path}/")


def _holds_only(root: Path, entry: str, private: frozenset[str]) -> bool:
    """Whether an ignored entry (a folder ends with a slash) is nothing but files we copied in ourselves."""
    if not entry.endswith("/"):
        return entry in private
    if not any(name.startswith(entry) for name in private):
        return False
    files = (Path(folder, name) for folder, _, names in os.walk(root / entry) for name in names)
    return all(str(file.relative_to(root)) in private for file in files)
