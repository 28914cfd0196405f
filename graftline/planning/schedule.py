"""How long a plan takes when its tasks take so long each: the schedule that a run makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from graftline.plan import Graph
from graftline.settings import LimitSettings


@dataclass(frozen=True)
class Network:
    """The tasks of a plan as numbers, in the order in which they get slots: who waits for whom, and in which group."""

    names: tuple[str, ...]
    before: tuple[tuple[int, ...], ...]
    groups: tuple[str | None, ...]
    group_slots: dict[str, int]

    @property
    def after(self) -> list[list[int]]:
        """Who waits for each task."""
        after: list[list[int]] = [[] for _ in self.names]
        for task, firsts in enumerate(self.before):
            for first in firsts:
                after[first].append(task)
        return after


@dataclass(frozen=True)
class Schedule:
    """How long all tasks take together, and how many were at work at once at most."""

    seconds: float
    peak: int


def network_of(graph: Graph, limits: LimitSettings) -> Network:
    """The network of a plan, under the limits on its groups."""
    numbers = {task: number for number, task in enumerate(graph.order)}
    group_of = {spec.id: spec.concurrency_group for spec in graph.plan.tasks}
    groups = tuple(group_of[task] for task in graph.order)
    return Network(
        names=graph.order,
        before=tuple(tuple(numbers[first] for first in graph.waits_for(task)) for task in graph.order),
        groups=groups,
        group_slots={name: limits.groups.get(name, 1) for name in groups if name is not None},
    )


def schedule(network: Network, seconds: Sequence[float], agents: int) -> Schedule:
    """The list schedule of a run: whenever a slot is free, the first task in order that may start gets it."""
    after, waits = network.after, [len(firsts) for firsts in network.before]
    ready = [task for task, count in enumerate(waits) if not count]
    heapify(ready)
    free = dict(network.group_slots)
    parked: dict[str, list[int]] = {name: [] for name in free}
    running: list[tuple[float, int]] = []
    now, peak = 0.0, 0
    while ready or running:
        while ready and len(running) < agents:
            task = heappop(ready)
            group = network.groups[task]
            if group is not None and not free[group]:
                heappush(parked[group], task)
                continue
            if group is not None:
                free[group] -= 1
            heappush(running, (now + seconds[task], task))
        peak = max(peak, len(running))
        now, ended = heappop(running)
        group = network.groups[ended]
        if group is not None:
            free[group] += 1
            if parked[group]:
                heappush(ready, heappop(parked[group]))
        for task in after[ended]:
            waits[task] -= 1
            if not waits[task]:
                heappush(ready, task)
    return Schedule(now, peak)


def critical_path(network: Network, seconds: Sequence[float]) -> tuple[str, ...]:
    """The chain of tasks that takes longest: with any number of agents the plan takes as long as it does."""
    ends: list[float] = []
    latest: list[int | None] = []
    for task, firsts in enumerate(network.before):
        last = max(firsts, key=ends.__getitem__, default=None)
        latest.append(last)
        ends.append(seconds[task] + (0.0 if last is None else ends[last]))
    path: list[str] = []
    at: int | None = max(range(len(ends)), key=ends.__getitem__)
    while at is not None:
        path.append(network.names[at])
        at = latest[at]
    return tuple(reversed(path))
