"""The words in which both forms of a preview for people say what is expected of a plan."""

from collections.abc import Iterator
from itertools import islice

from graftline.plan import TaskSpec
from graftline.planning.conflicts import PredictedConflict
from graftline.planning.preview import Preview
from graftline.planning.prospects import Prospects
from graftline.report.estimate_wording import cost_between, time_between
from graftline.report.plan_tree import Branch
from graftline.report.wording import counted, money
from graftline.text import plain_line

SHOWN_CONFLICTS = 5
LEAST_PROBABILITY = 0.05
"""A pair less likely to collide than this has no line of its own."""


def headline(preview: Preview) -> str:
    """The plan in a line."""
    return f"{preview.plan.title or 'untitled'}: {counted(len(preview.plan.tasks), 'task')}"


def short_title(spec: TaskSpec) -> str:
    """What a task is, as far as a plan says it."""
    return spec.title or spec.prompt


def also_after(branch: Branch) -> str:
    """The tasks that one waits for besides the one it stands below."""
    return f" (also after {plain_line(', '.join(branch.also_after), 200)})" if branch.also_after else ""


def expectations(prospects: Prospects) -> Iterator[tuple[str, str]]:
    """What is expected of the run, as labels and sentences."""
    estimate = prospects.estimate
    yield "Cost", _cost(prospects)
    yield "Time", time_between(estimate.seconds)
    yield "Basis", f"{estimate.basis} ({estimate.confidence:.0%} intervals)"
    if len(estimate.critical_path) > 1:
        yield "Path", f"{', '.join(estimate.critical_path)}: the chain that takes longest"
    yield "At once", _at_once(prospects)


def _at_once(prospects: Prospects) -> str:
    width, allowed = prospects.estimate.width, prospects.at_once
    if width > allowed:
        return f"{counted(allowed, 'agent')} at most; {width} would have something to do"
    return f"{counted(width, 'agent')}, of {allowed} that are allowed"


def _cost(prospects: Prospects) -> str:
    estimate = prospects.estimate
    if estimate.cost_usd is None:
        known = [task for task in estimate.tasks if task.cost_usd is not None]
        rest = f"; what is known comes to {cost_between(estimate.cost_known_usd)}" if known else ""
        return f"unknown{rest}; the cap is {money(prospects.cap_usd)}"
    planning = f", of which planning was {money(estimate.planning_usd)}" if estimate.planning_usd else ""
    cost, cap = f"{cost_between(estimate.cost_usd)}{planning}", money(prospects.cap_usd)
    if estimate.cost_usd.low > prospects.cap_usd:
        return f"{cost}: more than the cap of {cap}, which is expected to cut the run short"
    if estimate.cost_usd.high > prospects.cap_usd:
        return f"{cost}; the cap of {cap} may cut the run short"
    return f"{cost}, within the cap of {cap}"


def likely_conflicts(prospects: Prospects) -> tuple[PredictedConflict, ...]:
    """The predicted conflicts that are worth a line each, a few at most."""
    likely = (one for one in prospects.forecast.conflicts if one.probability >= LEAST_PROBABILITY)
    return tuple(islice(likely, SHOWN_CONFLICTS))


def conflict_line(conflict: PredictedConflict) -> str:
    """A predicted conflict in a line."""
    return f"{conflict.probability:.0%} that {conflict.first} and {conflict.second} collide: {conflict.reason}"


def less_likely(shown: int) -> str:
    """What is said of the pairs that have no line, after so many that have one."""
    less = "less" if shown else f"less than {LEAST_PROBABILITY:.0%}"
    return f"{less} for each{' other' if shown else ''} pair of tasks that may be at work at the same time"


def advice_line(prospects: Prospects) -> str:
    """The advice, with its reason."""
    advice = prospects.forecast.advice
    shape = {
        "solo": "one agent",
        "solo-plus-readers": "one agent that writes, and others that only read",
        "workers": counted(advice.workers, "worker"),
    }[advice.shape]
    return f"{shape}: {advice.reason}"
