"""What this repository's earlier runs tell of the next one: what their tasks cost, how long they took, and what held.

Sizes and ids come from the plans the runs pinned, costs and times from their rows in the ledger, and how a run ended
from its report. The ledger is the whole machine's: only rows of runs of this repository count.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from graftline.agents.routing import CIRCUMSTANCES
from graftline.errors import UserError
from graftline.ledger import Account, Call, Ledger
from graftline.pinned import read_pinned
from graftline.plan import Size, TaskSpec
from graftline.report.files import earlier_reports
from graftline.report.model import Report
from graftline.store import RepositoryStore


@dataclass(frozen=True)
class PastTask:
    """What one task of an earlier run came to, all its attempts and heal calls together.

    `agent` is who its first call was given to. `cost_usd` is None when the cost of any call is unknown.
    """

    agent: str
    size: Size | None
    calls: int
    cost_usd: float | None
    seconds: float


@dataclass(frozen=True)
class PastRun:
    """What one earlier run came to; `idle_seconds` is how long no agent was at work in it: tests, merges, waiting."""

    tasks: tuple[PastTask, ...]
    idle_seconds: float | None


@dataclass(frozen=True)
class Past:
    """The earlier runs of a repository."""

    runs: tuple[PastRun, ...] = ()

    def tasks_of(self, agent: str) -> tuple[PastTask, ...]:
        """The tasks that one agent was given."""
        return tuple(task for run in self.runs for task in run.tasks if task.agent == agent)


def read_past(store: RepositoryStore, ledger: Ledger) -> Past:
    """What the runs of a repository tell that have ended; one whose records cannot be read tells nothing."""
    runs = []
    for folder, report in earlier_reports(store):
        with suppress(UserError):  # it ended before it had begun
            tasks = finished_tasks(read_pinned(folder).tasks, account := ledger.account(folder.id))
            runs.append(PastRun(tuple(tasks.values()), _idle_seconds(report, account.calls)))
    return Past(tuple(runs))


def finished_tasks(specs: Iterable[TaskSpec], account: Account) -> dict[str, PastTask]:
    """What each task of a run came to whose agents had their say."""
    calls: dict[str | None, list[Call]] = defaultdict(list)
    for call in account.calls:
        calls[call.task].append(call)
    return {spec.id: _past_task(spec, calls[spec.id]) for spec in specs if _came_to_its_end(calls[spec.id])}


def _came_to_its_end(calls: Sequence[Call]) -> bool:
    """Whether agents were called and had their say: what was cut off or refused took less than it would have."""
    return bool(calls) and all(not call.is_open for call in calls) and calls[-1].outcome not in CIRCUMSTANCES


def _past_task(spec: TaskSpec, calls: Sequence[Call]) -> PastTask:
    return PastTask(
        agent=calls[0].profile or calls[0].backend,
        size=spec.size,
        calls=len(calls),
        cost_usd=Account(tuple(calls)).cost_usd,
        seconds=sum(call.seconds or 0.0 for call in calls),
    )


def _idle_seconds(report: Report, calls: Iterable[Call]) -> float | None:
    if report.estimate is None or report.estimate.seconds_held is None:
        return None
    return max(0.0, report.estimate.seconds_taken - sum(map(_length, _together(calls))))


def _together(calls: Iterable[Call]) -> Iterator[tuple[datetime, datetime]]:
    """The spans of time in which calls for tasks were made, those that overlap as one."""
    spans = sorted((call.started_at, call.ended_at) for call in calls if call.task and call.ended_at)
    start = end = None
    for next_start, next_end in spans:
        if end is not None and start is not None and next_start > end:
            yield start, end
            start, end = next_start, next_end
        else:
            start, end = start or next_start, max(end or next_end, next_end)
    if start is not None and end is not None:
        yield start, end


def _length(span: tuple[datetime, datetime]) -> float:
    start, end = span
    return (end - start).total_seconds()
