"""Requests that were carried out: commits of real repositories, each with its message and the files it changed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graftline.git.command import git
from graftline.planning.signals import request_words

MOST_FILES = 10
"""Commits that change more are moves, renames and reformatting: no ranking finds those, and no request names them."""
LEAST_WORDS = 3
"""Words of a subject that tell something."""
SCANNED = 20_000
PAGE = 500
_TRAILER = re.compile(r"^(?:[A-Z][A-Za-z]*(?:-[A-Za-z]+)*-by|Change-Id|Cherry-picked-from)\s*:.*$", re.MULTILINE)
_NOT_A_REQUEST = re.compile(
    r"merge\b|revert\b|bump\b|release\b|back to dev|prepare (?:for )?(?:next|release)|version\b|v?\d+\.\d+|"
    r"\[pre-commit|update (?:changelog|version|contributors)|(?:build|chore)\(deps",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class RealRequest:
    """One commit with one parent: `changed` are the files of the parent that it changed or removed."""

    commit: str
    parent: str
    text: str
    changed: tuple[str, ...]


def real_requests(git_dir: Path) -> Iterator[RealRequest]:
    """The commits that lead to HEAD and were asked for in words, newest first: no merges, reverts and releases."""
    shown = ["--raw", "--no-renames", "--no-abbrev", "--no-show-signature", "--format=%x00%H %P%x00%B"]
    for passed in range(0, SCANNED, PAGE):
        page = [f"--skip={passed}", f"--max-count={PAGE}"]
        log = git(["log", "-z", "--no-merges", *page, *shown, "HEAD", "--"], git_dir=git_dir).stdout
        if not log:
            return
        yield from _requests(log.split(b"\0"))


def _requests(fields: list[bytes]) -> Iterator[RealRequest]:
    position = 0
    while position + 1 < len(fields):
        if not fields[position].strip():
            position += 1
            continue
        ids = fields[position].decode().split()
        text = _TRAILER.sub("", fields[position + 1].decode("utf-8", "replace")).strip()
        position += 2
        changed = []
        while position + 1 < len(fields) and fields[position].lstrip(b"\n").startswith(b":"):
            if not fields[position].endswith(b" A"):
                changed.append(fields[position + 1].decode("utf-8", "surrogateescape"))
            position += 2
        if len(ids) == 2 and changed and _is_request(text):
            yield RealRequest(ids[0], ids[1], text, tuple(changed))


def _is_request(text: str) -> bool:
    return not _NOT_A_REQUEST.match(text) and len(request_words(text.partition("\n")[0])) >= LEAST_WORDS


def ancestry(git_dir: Path) -> dict[str, tuple[str, ...]]:
    """The parents of the latest commits."""
    listed = git(["rev-list", "--parents", f"--max-count={2 * SCANNED}", "HEAD", "--"], git_dir=git_dir).text
    return {commit: tuple(parents) for commit, *parents in map(str.split, listed.splitlines())}


def leading_to(commit: str, parents: dict[str, tuple[str, ...]]) -> frozenset[str]:
    """A commit and all that lead to it, as far as they are known."""
    seen = {commit}
    left = [commit]
    while left:
        found = [parent for parent in parents.get(left.pop(), ()) if parent not in seen]
        seen.update(found)
        left += found
    return frozenset(seen)
