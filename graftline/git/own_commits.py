"""Commits an agent made itself: found in its repository, taken over into the hub, kept when they are fit to be kept."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from graftline.errors import GitFailedError
from graftline.git.folders import is_real_folder
from graftline.git.hub import Hub
from graftline.git.staging import Staged

OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
MOST_BYTES = 10_000_000  # of a HEAD, a ref or packed-refs; an agent may have put anything there


@dataclass(frozen=True)
class OwnCommits:
    """What the work is committed on: the agent's last commit with its tree, or the base (`tree` empty, `count` 0)."""

    head: str
    tree: str
    count: int
    notes: tuple[str, ...]


async def find_own_commits(hub: Hub, git_dir: Path, base: str, staged: Staged) -> OwnCommits:
    """The agent's own commits on top of the base, now in the hub; where they cannot be kept, the base and a note."""
    head = read_head(git_dir)
    if head == base:
        return OwnCommits(base, "", 0, ())
    reason = "its HEAD cannot be read" if head is None else await _unfit(hub, git_dir, base, head, staged)
    if head is None or reason:
        return OwnCommits(
            base, "", 0, (f"the agent's own commits are not kept apart, but their changes are: {reason}",)
        )
    count = int((await hub.run(["rev-list", "--count", f"{base}..{head}"])).text)
    return OwnCommits(head, await hub.tree_of(head), count, ())


async def _unfit(hub: Hub, git_dir: Path, base: str, head: str, staged: Staged) -> str:
    """Why a line of commits cannot land as it is; empty when it can. Fetches it."""
    try:
        await hub.fetch(git_dir, head, "--no-tags", config={"fetch.fsckObjects": "true"})
    except GitFailedError as error:
        lines = error.stderr.strip().splitlines()
        return f"they cannot be fetched ({lines[0] if lines else 'no reason given'})"
    if not await hub.is_ancestor(base, head):
        return "they do not descend from the commit the task started from"
    touched = await hub.run(["log", "-m", "-z", "--no-renames", "--name-only", "--format=", f"{base}..{head}"])
    private = [path for path in touched.fields if path.lstrip("\n") in staged.private]
    if private:
        return f"they hold {private[0]}, a private file that was only lent to the worktree"
    ignored = [path for path in await hub.changed_paths(head, staged.tree) if _is_covered(path, staged.left_out)]
    if ignored:
        return f"they hold {ignored[0]}, which is ignored"
    return ""


def _is_covered(path: str, entries: tuple[str, ...]) -> bool:
    return any(path == entry or (entry.endswith("/") and path.startswith(entry)) for entry in entries)


def read_head(git_dir: Path) -> str | None:
    """The commit a repository's HEAD is at, read from its files without running git; None when that cannot be said."""
    if not is_real_folder(git_dir):
        return None
    text = _read(git_dir / "HEAD")
    if not text.startswith("ref: "):
        return _object_id(text)
    ref = text.removeprefix("ref: ").strip()
    if not re.fullmatch(r"refs/heads/[^\0]+", ref) or ".." in ref.split("/"):
        return None
    loose = _object_id(_read(git_dir / ref))
    if loose is not None:
        return loose
    packed = (line.partition(" ") for line in _read(git_dir / "packed-refs").splitlines())
    return next((_object_id(commit) for commit, _, name in packed if name == ref), None)


def _object_id(text: str) -> str | None:
    return text.strip() if OBJECT_ID.fullmatch(text.strip()) else None


def _read(path: Path) -> str:
    """A regular file's text, empty for anything else: a pipe must not make us wait, nor a symlink lead us out."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    with open(file, "rb") as reader:  # noqa: PTH123 (a descriptor, not a path)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return ""
        return os.fsdecode(reader.read(MOST_BYTES))
