"""Pairs of branches that people merged: what each changed since they parted, and whether git merges them by itself."""

import random
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from graftline.git.command import git
from graftline.git.merging import MERGE_CONFIG

MOST_FILES = 100
"""A branch that changes more is no task: mostly a maintenance branch, merged with all it has gained."""
CONFLICTED = frozenset({0, 1})


@dataclass(frozen=True)
class Pair:
    """The two sides of a merge: `base` is where they parted, `sides` are the files that each changed."""

    merge: str
    base: str
    sides: tuple[tuple[str, ...], tuple[str, ...]]
    collides: bool

    def halved(self) -> "Pair":
        """The pair with half of each side's files, rounded up: always the same half."""
        chance = random.Random(self.merge)
        one, other = (tuple(chance.sample(side, (len(side) + 1) // 2)) for side in self.sides)
        return Pair(self.merge, self.base, (one, other), self.collides)


@dataclass(frozen=True)
class Sample:
    """Pairs of one repository, and for how many merges there is none, by why."""

    pairs: tuple[Pair, ...]
    left_out: Counter[str]


def sample_pairs(git_dir: Path, count: int, *, seed: int = 0) -> Sample:
    """Pairs of merges drawn at random from all with two parents; nothing is written into the repository."""
    listed = git(["rev-list", "--min-parents=2", "--max-parents=2", "--parents", "HEAD"], git_dir=git_dir).text
    merges = [(merge, one, other) for merge, one, other in map(str.split, listed.splitlines())]
    random.Random(seed).shuffle(merges)
    pairs: list[Pair] = []
    left_out: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="conflicts-") as objects:
        for merge, one, other in merges:
            if len(pairs) == count:
                break
            found = _pair(git_dir, merge, (one, other), objects)
            if isinstance(found, Pair):
                pairs.append(found)
            else:
                left_out[found] += 1
    return Sample(tuple(pairs), left_out)


def _pair(git_dir: Path, merge: str, parents: tuple[str, str], objects: str) -> Pair | str:
    """The pair of a merge, or why it is none."""
    bases = git(["merge-base", "--all", *parents], git_dir=git_dir, accept=CONFLICTED).text.split()
    if len(bases) != 1:
        return "several merge bases, or none"
    one, other = (_changed(git_dir, bases[0], parent) for parent in parents)
    if not one or not other:
        return "one side changed nothing"
    if max(len(one), len(other)) > MOST_FILES:
        return f"one side changed more than {MOST_FILES} files"
    # What merging makes goes elsewhere: the repository may be anybody's.
    env = {"GIT_OBJECT_DIRECTORY": objects, "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(git_dir / "objects")}
    merged = git(
        ["merge-tree", "--write-tree", "-z", "--no-messages", *parents],
        git_dir=git_dir,
        config=MERGE_CONFIG,
        env=env,
        accept=CONFLICTED,
    )
    return Pair(merge, bases[0], (one, other), merged.status == 1)


def _changed(git_dir: Path, base: str, tip: str) -> tuple[str, ...]:
    return git(["diff-tree", "-r", "-z", "--name-only", "--no-renames", base, tip], git_dir=git_dir).fields
