"""Which files a task will change, as far as its plan tells, and what in the repository hangs together with them."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import NamedTuple

from graftline.paths import GLOB_CHARACTERS, matching
from graftline.plan import TaskSpec
from graftline.planning.history import History
from graftline.planning.index import RepositoryIndex

MAX_FILES = 200
"""Files of one task that are looked at: of a whole folder those that change most often."""
PROMPT_CHARS = 20_000
_PATH = re.compile(r"[\w.@+-]+(?:/[\w.@+-]+)*")
_DOUBT = 4
"""Files that changed twice, and both times together, do so far less surely than ten times out of ten."""


class Link(NamedTuple):
    """A file of a task that changed together with another: how regularly, from 0 to 1, and in how many commits."""

    path: str
    strength: float
    commits: int


@dataclass(frozen=True)
class Footprint:
    """The files that a task will change, also ones that are not there yet; empty when nothing is known of them.

    `partners` are other files by how often they changed with one of these. `imports` and `uses` are the files and names
    that these refer to, `defines` the names they define, each with one of these files.
    """

    files: frozenset[str]
    partners: Mapping[str, Link]
    imports: Mapping[str, str]
    defines: Mapping[str, str]
    uses: Mapping[str, str]


class Terrain:
    """A commit's files and its past, as the ground that tasks leave footprints on."""

    def __init__(self, index: RepositoryIndex, history: History) -> None:
        self._index = index
        self._history = history
        self._matching: dict[str, tuple[str, ...]] = {}
        self.touches = Counter(path for commit in history.commits for path in commit.paths)
        self.commits = len(history.commits)

    def size(self, path: str) -> int:
        """The size of a file in bytes; 0 when it is not there yet, or its content is missing."""
        facts = self._index.files.get(path)
        return max(0, facts.size) if facts else 0

    def footprint(self, spec: TaskSpec) -> Footprint:
        """The footprint of a task: of the files it declares or, when it declares none, that its prompt names."""
        if spec.writes:
            patterns = spec.writes[:MAX_FILES]
            return self.footprint_of(path for pattern in patterns for path in self._expand(pattern))
        words = _PATH.findall(spec.prompt[:PROMPT_CHARS])
        return self.footprint_of(path for word in words if (path := word.strip(".")) in self._index.files)

    def footprint_of(self, paths: Iterable[str]) -> Footprint:
        """The footprint of these files."""
        files = sorted(set(paths), key=lambda path: (-self.touches[path], path))[:MAX_FILES]
        partners: dict[str, Link] = {}
        imports: dict[str, str] = {}
        defines: dict[str, str] = {}
        uses: dict[str, str] = {}
        for path in files:
            for other, count in self._history.together(path).items():
                strength = count / (min(self.touches[path], self.touches[other]) + _DOUBT)
                if other not in partners or strength > partners[other].strength:
                    partners[other] = Link(path, strength, count)
            facts = self._index.files.get(path)
            if facts is not None:
                imports.update(dict.fromkeys(facts.imports, path))
                defines.update(dict.fromkeys((symbol.name for symbol in facts.definitions), path))
                uses.update(dict.fromkeys(facts.references, path))
        return Footprint(frozenset(files), partners, imports, defines, uses)

    def _expand(self, pattern: str) -> tuple[str, ...]:
        """The files that a pattern of `writes` means: those that are there, else the one it names."""
        if pattern in self._index.files:
            return (pattern,)
        if pattern not in self._matching:
            prefix = "".join(takewhile(lambda character: character not in GLOB_CHARACTERS, pattern))
            start = bisect_left(self._paths, prefix)
            near = takewhile(lambda path: path.startswith(prefix), self._paths[start:])
            found = tuple(matching(pattern, near))
            self._matching[pattern] = found or (() if prefix != pattern else (pattern,))
        return self._matching[pattern]

    @cached_property
    def _paths(self) -> list[str]:
        return sorted(self._index.files)
