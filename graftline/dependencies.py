"""The rules between the tasks of a plan: ids that can be told apart, tasks to wait for that exist, and no cycle.

They work on outlines rather than on tasks, so that a plan file with other mistakes in it still gets all of these named
at once.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Literal


@dataclass(frozen=True)
class Outline:
    """What the rules look at in one task; `index` is its place in the plan, None stands for an unreadable entry."""

    index: int
    id: str
    depends_on: tuple[str | None, ...]
    after: tuple[str | None, ...] = ()

    @property
    def waits(self) -> tuple[tuple[Literal["depends_on", "after"], tuple[str | None, ...]], ...]:
        """The keys that name tasks it waits for, with what they name."""
        return ("depends_on", self.depends_on), ("after", self.after)


@dataclass(frozen=True)
class Fault:
    """One broken rule, at a key of the task with that index; `other` is the task it clashes with."""

    index: int
    key: tuple[str | int, ...]
    message: str
    other: int | None = None


def find_faults(outlines: Sequence[Outline]) -> tuple[Fault, ...]:
    """Every broken rule, in plan order of the tasks."""
    faults = [*_clashing_ids(outlines), *_broken_dependencies(outlines), *_cycles(outlines)]
    return tuple(sorted(faults, key=lambda fault: fault.index))


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean ...?` when one of the words is close to the given one, else nothing."""
    folded = {candidate.casefold(): candidate for candidate in words}
    found = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"; did you mean {folded[found[0]]!r}?" if found else ""


def _clashing_ids(outlines: Sequence[Outline]) -> Iterator[Fault]:
    exact: dict[str, int] = {}
    folded: dict[str, Outline] = {}
    for outline in outlines:
        if outline.id in exact:
            yield Fault(outline.index, ("id",), f"the id {outline.id!r} is used twice", exact[outline.id])
            continue
        exact[outline.id] = outline.index
        other = folded.setdefault(outline.id.casefold(), outline)
        if other is not outline:
            message = f"the ids {other.id!r} and {outline.id!r} differ only by case, which some file systems ignore"
            yield Fault(outline.index, ("id",), message, other.index)


def _broken_dependencies(outlines: Sequence[Outline]) -> Iterator[Fault]:
    ids = [outline.id for outline in outlines]
    known = set(ids)
    for outline in outlines:
        for key, named in outline.waits:
            for position, name in enumerate(named):
                if name == outline.id:
                    verb = "depend on" if key == "depends_on" else "wait for"
                    yield Fault(outline.index, (key, position), f"a task cannot {verb} itself")
                elif name is not None and name not in known:
                    yield Fault(outline.index, (key, position), f"there is no task {name!r}{nearest(name, ids)}")


def _cycles(outlines: Sequence[Outline]) -> Iterator[Fault]:
    """Every cycle that shares no task with one already reported; a longer list would only repeat them."""
    places: dict[str, int] = {}
    graph: dict[str, dict[str, str]] = {}  # with the key that names the other task
    for outline in outlines:
        places.setdefault(outline.id, outline.index)
        edges = graph.setdefault(outline.id, {})
        for key, named in outline.waits:
            for name in named:
                if name is not None and name != outline.id:
                    edges.setdefault(name, key)
    while cycle := _find_cycle(graph):
        start = cycle.index(min(cycle, key=places.__getitem__))
        path = [*cycle[start:], *cycle[:start], cycle[start]]
        keys = [graph[task_id][waited_for] for task_id, waited_for in pairwise(path)]
        what = "`depends_on` and `after`" if "after" in keys else "the dependencies"
        yield Fault(places[path[0]], (keys[0],), f"{what} form a cycle: {' -> '.join(path)}")
        for task_id in cycle:
            del graph[task_id]


def _find_cycle(graph: Mapping[str, Mapping[str, str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib lists predecessors first and repeats the first at the end; people read "a needs b, b needs a".
        path: list[str] = error.args[1]
        return path[:0:-1]
    return []
