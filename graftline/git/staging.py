"""Staging: turns the files of a worktree into a tree, through the hub and an index of our own.

Nothing in the worktree is trusted. In particular git enters a repository inside the worktree (and obeys its
configuration) when it looks for changes in a submodule, so every `.git` below the top is moved out of the way first.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import anyio.to_thread

from graftline.errors import GitFailedError
from graftline.git.hub import Hub

GITLINK = "H 160000 "
MOST_NOTES = 5


@dataclass(frozen=True)
class Staged:
    """The files of a worktree as a tree; `private` are the paths that must never be committed."""

    tree: str
    left_out: tuple[str, ...]
    private: frozenset[str]
    notes: tuple[str, ...]


async def stage_work(hub: Hub, path: Path, *, index: Path, exclude: Path) -> Staged:
    """The tree of all that is not ignored in a worktree, over the index it was cut with, which stays as it is."""
    staging = index.with_name(f"{index.name}.staging")
    # With its time: git compares times by the second, and looks into files that are not older than the index. A younger
    # copy would hide an edit that keeps a file's size, made in the second in which the worktree was cut.
    await anyio.to_thread.run_sync(shutil.copy2, index, staging)
    private = frozenset(os.fsdecode(name) for name in exclude.read_bytes().split(b"\0") if name)
    try:
        untracked, notes = await _untracked(hub, path, staging)
        # Private files are ignored in the user's checkout, but an agent may have changed the ignore rules.
        exposed = sorted(name for name in private if any(_is_at(entry, name) for entry in untracked))
        notes += await _add(hub, path, staging, [".", *(f":(exclude,literal){name}" for name in exposed)])
        ignored = await hub.run(
            ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"],
            work_tree=path,
            index=staging,
        )
        left_out = tuple(entry for entry in ignored.fields if not _holds_only(path, entry, private))
        tree = (await hub.run(["write-tree"], index=staging)).text
    finally:
        staging.unlink(missing_ok=True)
    return Staged(tree, left_out, private, tuple(notes))


async def _add(hub: Hub, path: Path, staging: Path, specs: Sequence[str]) -> list[str]:
    added = await hub.run(
        ["add", "--all", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul"],
        work_tree=path,
        index=staging,
        config={"core.safecrlf": "false"},
        stdin=b"".join(os.fsencode(spec) + b"\0" for spec in specs),
        accept=frozenset({0, 1}),
    )
    # A file git cannot take (a pipe in place of a tracked file, one without read permission) keeps its base version.
    problems = [line for line in added.stderr.splitlines() if line.startswith(("error: ", "warning: could not open"))]
    if added.status and not problems:
        raise GitFailedError(("add", "--all"), added.status, added.stderr)
    return [f"not committed: {problem.partition(': ')[2]}" for problem in problems[:MOST_NOTES]] + (
        [f"not committed: {len(problems) - MOST_NOTES} more"] if len(problems) > MOST_NOTES else []
    )


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
