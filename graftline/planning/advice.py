"""How many agents a plan is worth: one, one beside others that only read, or several workers. A person decides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from graftline.plan import Plan, graph_of
from graftline.planning.conflicts import PredictedConflict
from graftline.planning.estimate import RunEstimate
from graftline.planning.outlook import PRIOR_SECONDS, SIZE_FACTORS
from graftline.planning.schedule import Network, critical_path, network_of, schedule
from graftline.report.wording import duration
from graftline.settings import LimitSettings

Shape = Literal["solo", "solo-plus-readers", "workers"]
WORTH = 1.25
"""How much faster than one agent several have to be: each has to find its own way into the repository first."""
MOST_LOST = 0.25
"""How much of the work may be expected to be paid for twice."""
SHORT_SECONDS = 300
"""Work that one agent does in this time is done before several of them have been set up and merged."""
NEARLY = 1.1
"""As fast as with any number of agents, or slower by this factor: more agents would only wait."""
MOST_WORKERS = 32


@dataclass(frozen=True)
class Advice:
    """How many agents to have at a time, and in one sentence why."""

    shape: Shape
    workers: int
    reason: str


def advise(plan: Plan, predicted: Sequence[PredictedConflict], estimate: RunEstimate | None) -> Advice:
    """The advice for a plan: by how much of it can be done at a time, and how much of that is likely to collide.

    A task that collides counts as done again afterwards. Without an estimate, sizes alone say how long tasks take.
    """
    network = network_of(graph_of(plan), LimitSettings())
    expected = _seconds(plan, estimate)
    seconds = [expected[task] for task in network.names]
    readers = {spec.id for spec in plan.tasks if spec.read_only}
    alone = sum(seconds)
    if len(plan.tasks) == 1:
        return Advice("solo", 1, "there is one task")
    if alone <= SHORT_SECONDS:
        return Advice("solo", 1, f"all of it is about {duration(alone)} of work for one agent")
    together = schedule(network, seconds, len(seconds)).seconds
    if alone < WORTH * together:
        return Advice("solo", 1, f"the tasks wait for one another: {_chain(network, seconds)}")
    written = [0.0 if task in readers else each for task, each in zip(network.names, seconds, strict=True)]
    if readers and sum(written) < WORTH * schedule(network, written, len(written)).seconds:
        workers = _workers(network, seconds, together)
        return Advice(
            "solo-plus-readers", workers, "what changes files is done one after the other, the rest only reads"
        )
    lost = _chances_lost(predicted)
    again = sum(lost.get(task, 0.0) * each for task, each in zip(network.names, seconds, strict=True))
    if again > MOST_LOST * alone or alone < WORTH * (together + again):
        reason = f"{sum(lost.values()):.1f} of {len(plan.tasks)} tasks are expected to collide and be done again"
        return Advice("solo", 1, reason)
    workers = _workers(network, seconds, together)
    share = (schedule(network, seconds, workers).seconds + again) / alone
    more = ", and more would wait" if workers < len(seconds) else ""
    return Advice("workers", workers, f"so many at a time need about {share:.0%} of the time of one agent{more}")


def _seconds(plan: Plan, estimate: RunEstimate | None) -> Mapping[str, float]:
    """How long each task takes: the middle of its interval, on a logarithmic scale as it was made."""
    if estimate is None:
        return {spec.id: PRIOR_SECONDS.median * SIZE_FACTORS[spec.size] for spec in plan.tasks}
    return {task.task: math.sqrt(task.seconds.low * task.seconds.high) for task in estimate.tasks}


def _chain(network: Network, seconds: Sequence[float]) -> str:
    longest = critical_path(network, seconds)
    share = sum(each for task, each in zip(network.names, seconds, strict=True) if task in longest) / sum(seconds)
    return f"{share:.0%} of the work is one chain"


def _chances_lost(predicted: Sequence[PredictedConflict]) -> dict[str, float]:
    """How likely each task collides with one that comes before it in integration order: the later one is left out."""
    kept: dict[str, float] = {}
    for conflict in predicted:
        kept[conflict.second] = kept.get(conflict.second, 1.0) * (1 - conflict.probability)
    return {task: 1 - chance for task, chance in kept.items()}


def _workers(network: Network, seconds: Sequence[float], together: float) -> int:
    """The fewest agents that are nearly as fast as any number of them."""
    counts = range(2, min(MOST_WORKERS, len(seconds)) + 1)
    fast = (count for count in counts if schedule(network, seconds, count).seconds <= NEARLY * together)
    return next(fast, MOST_WORKERS)
