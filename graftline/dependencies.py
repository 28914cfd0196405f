"""The rules between the tasks of a plan: ids that can be told apart, dependencies that exist, and no cycle.

They work on outlines rather than on tasks, so that a plan file with other mistakes in it still gets all of these named
at once.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter


@dataclass(frozen=True)
class Outline:
    """What the rules look at in one task; `index` is its place in the plan, None stands for an unreadable entry."""

    index: int
    id: str
    depends_on: tuple[str | None, ...]


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
        for position, dependency in enumerate(outline.depends_on):
            key = ("depends_on", position)
            if dependency == outline.id:
                yield Fault(outline.index, key, "a task cannot depend on itself")
            elif dependency is not None and dependency not in known:
                yield Fault(outline.index, key, f"there is no task {dependency!r}{nearest(dependency, ids)}")


def _cycles(outlines: Sequence[Outline]) -> Iterator[Fault]:
    """Every cycle that shares no task with one already reported; a longer list would only repeat them."""
    places: dict[str, int] = {}
    graph: dict[str, dict[str, None]] = {}
    for outline in outlines:
        places.setdefault(outline.id, outline.index)
        edges = graph.setdefault(outline.id, {})
        edges.update(dict.fromkeys(d for d in outline.depends_on if d is not None and d != outline.id))
    while cycle := _find_cycle(graph):
        start = cycle.index(min(cycle, key=places.__getitem__))
        path = [*cycle[start:], *cycle[:start], cycle[start]]
        yield Fault(places[path[0]], ("depends_on",), f"the dependencies form a cycle: {' -> '.join(path)}")
        for task_id in cycle:
            del graph[task_id]


def _find_cycle(graph: dict[str, dict[str, None]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib lists predecessors first and repeats the first at the end; people read "a needs b, b needs a".
        path: list[str] = error.args[1]
        return path[:0:-1]
    return []
