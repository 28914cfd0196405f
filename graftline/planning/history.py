"""What a repository's recent commits tell a planner: what was done, and which files change together."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from graftline.git.command import git
from graftline.git.repository import Repository

MAX_COMMITS = 2_000
"""Reading as many takes 0.2 s in a repository of 70,000 commits and 13,000 files."""
MAX_PATHS = 100
"""Files that one commit may touch: those of a mass change have nothing to do with one another."""
MESSAGE_CHARS = 10_000
FORMAT = "%x00%H%x00%ct%x00%B"


@dataclass(frozen=True)
class Commit:
    """One commit; `paths` are the files it touched, sorted, and empty for a mass change.

    Text and paths are whatever somebody committed: a path that is not UTF-8 has surrogate escapes.
    """

    id: str
    subject: str
    message: str
    paths: tuple[str, ...]
    time: int


@dataclass(frozen=True)
class History:
    """Commits, newest first, merges left out."""

    commits: tuple[Commit, ...]

    def touching(self, paths: Iterable[str]) -> tuple[Commit, ...]:
        """The commits that touched any of the paths, newest first."""
        places = {place for path in paths for place in self._places.get(path, ())}
        return tuple(self.commits[place] for place in sorted(places))

    def together(self, path: str) -> Mapping[str, int]:
        """How often each other file changed in the same commit as this one."""
        counts = Counter(other for place in self._places.get(path, ()) for other in self.commits[place].paths)
        del counts[path]
        return counts

    @cached_property
    def _places(self) -> Mapping[str, tuple[int, ...]]:
        places: dict[str, list[int]] = {}
        for place, commit in enumerate(self.commits):
            for path in commit.paths:
                places.setdefault(path, []).append(place)
        return {path: tuple(found) for path, found in places.items()}


def read_history(repository: Repository, commit: str, *, max_commits: int = MAX_COMMITS) -> History:
    """The latest commits that lead to `commit`, itself included."""
    arguments = ["log", "-z", f"--max-count={max_commits}", "--no-merges", "--name-only", "--no-renames"]
    shown = git(
        [*arguments, "--no-show-signature", "--encoding=UTF-8", f"--format={FORMAT}", "--end-of-options", commit, "--"],
        git_dir=repository.git_dir,
        config={"log.showRoot": "true"},
    )
    return History(tuple(_commits(shown.stdout.split(b"\0"))))


def _commits(fields: list[bytes]) -> Iterable[Commit]:
    """The commits in git's output: an empty field, id, time, message, then paths, of which the first has a line end.

    Neither a path nor an id is ever empty, and git ends a message at a NUL, so nothing committed can forge a field.
    """
    position = 0
    while position + 3 < len(fields):
        _, commit_id, time, message = fields[position : position + 4]
        position += 4
        paths: list[str] = []
        while position < len(fields) and fields[position]:
            paths.append(os.fsdecode(fields[position] if paths else fields[position].removeprefix(b"\n")))
            position += 1
        text = message.decode("utf-8", "replace")[:MESSAGE_CHARS].strip()
        yield Commit(
            id=commit_id.decode(),
            subject=text.partition("\n")[0].strip(),
            message=text,
            paths=tuple(sorted(paths)) if len(paths) <= MAX_PATHS else (),
            time=int(time) if time.isdigit() else 0,
        )
