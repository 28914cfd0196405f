"""Holds what a run came to against what it was expected to come to when its plan was settled."""

from collections.abc import Iterable, Sequence
from itertools import dropwhile

from pydantic import ValidationError

from graftline.journal import Entry, EventKind
from graftline.ledger import Account
from graftline.pinned import PinnedRun
from graftline.planning.estimate import RunEstimate
from graftline.planning.past import finished_tasks
from graftline.report.files import earlier_reports
from graftline.report.model import Coverage, EstimateReport, RunState
from graftline.report.time_taken import awaited_seconds, worked_seconds
from graftline.store import RunFolder

CAME_TO_ITS_END = frozenset(
    {
        *(RunState.LANDED, RunState.ON_BRANCH, RunState.HELD, RunState.PARTIAL),
        *(RunState.NOTHING_TO_LAND, RunState.TESTS_FAILED),
    }
)


def estimate_report(
    pinned: PinnedRun, folder: RunFolder, entries: Sequence[Entry], account: Account, state: RunState
) -> EstimateReport | None:
    """The run beside its estimate, which the journal has from the moment its plan was first settled."""
    since = list(dropwhile(lambda entry: entry.event is not EventKind.PLAN_SETTLED, entries))
    try:
        estimate = RunEstimate.model_validate(since[0].data["estimate"]) if since else None
    except (KeyError, ValidationError):  # settled without one, or by another version
        estimate = None
    if estimate is None:
        return None
    taken = max(0.0, worked_seconds(since) - awaited_seconds(since, account.calls))
    is_over = state in CAME_TO_ITS_END
    cost_held = (
        estimate.cost_usd.holds(account.cost_usd)
        if is_over and estimate.cost_usd is not None and account.cost_usd is not None
        else None
    )
    seconds_held = estimate.seconds.holds(taken) if is_over else None
    earlier = [report.estimate for run, report in earlier_reports(folder.store) if run.id != folder.id]
    tasks = finished_tasks(pinned.tasks, account) if is_over else {}
    expected = [(task, tasks[task.task]) for task in estimate.tasks if task.task in tasks]
    return EstimateReport(
        confidence=estimate.confidence,
        basis=estimate.basis,
        cost_usd=estimate.cost_usd,
        cost_held=cost_held,
        seconds=estimate.seconds,
        seconds_taken=taken,
        seconds_held=seconds_held,
        task_costs=_coverage(
            task.cost_usd.holds(came.cost_usd)
            for task, came in expected
            if task.cost_usd is not None and came.cost_usd is not None
        ),
        task_seconds=_coverage(task.seconds.holds(came.seconds) for task, came in expected),
        run_costs=_coverage([cost_held, *(each.cost_held for each in earlier if each)]),
        run_seconds=_coverage([seconds_held, *(each.seconds_held for each in earlier if each)]),
    )


def _coverage(held: Iterable[bool | None]) -> Coverage:
    known = [each for each in held if each is not None]
    return Coverage(held=sum(known), of=len(known))
