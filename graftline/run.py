"""One execution of a plan: what was pinned at its start, and the open records it works on."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import JsonValue

from graftline.agents.routing import Agent, next_agent, route_of
from graftline.clock import Clock
from graftline.errors import GraftlineError
from graftline.git.hub import Hub
from graftline.git.merging import Merger
from graftline.git.repository import Repository, Target
from graftline.git.worktrees import Worktree
from graftline.journal import EventKind, Journal
from graftline.lease import Lease
from graftline.ledger import Ledger
from graftline.pinned import PinnedRun, write_pinned
from graftline.plan import Graph, Plan, TaskSpec, graph_of
from graftline.planning.neighbours import describe_neighbours
from graftline.process import OnStart, ProcessIdentity
from graftline.records import AttemptRecord, heal_records, task_records
from graftline.settings import Settings
from graftline.store import RunFolder
from graftline.verify.detect import TestCommand

if TYPE_CHECKING:
    from graftline.planning.survey import Survey


@dataclass
class Run:
    """An open run: pinned facts, the places it works in and the records it writes.

    `stop_reason` is set when nothing new may start (a key was refused, the budget is spent): what runs goes on,
    what has not started does not. `settled` is the shape of the plan that the run goes by, once there is one,
    `survey` what it is made by, while it is. `test_command`, what it runs on and the size of a worktree are known
    once the run is to be carried out. `recovered` says what was found of a process of it that had died. `tested`
    holds the keys of the suites that this entry into the run has seen end. `deployment` is the id of the Prefect
    deployment it is a run of, if any. `call_ended` is set, and another one put in its place, whenever a call has
    given back what it did not use. `given_up` has the last attempt of each task that failed for good in this entry
    into the run.
    """

    pinned: PinnedRun
    folder: RunFolder
    lease: Lease
    repository: Repository
    hub: Hub
    settings: Settings
    journal: Journal
    ledger: Ledger
    merger: Merger
    environ: Mapping[str, str]
    settled: Graph | None = None
    survey: "Survey | None" = None
    test_command: TestCommand | None = None
    test_tools: str = ""
    tree_bytes: int = 0
    stop_reason: str = ""
    candidates: int = 0
    retries_claimed: int = 0
    retired: deque[Worktree] = field(default_factory=deque)
    recovered: str = ""
    is_entered_again: bool = False
    clock: Clock = field(default_factory=Clock)
    tested: set[str] = field(default_factory=set)
    deployment: str = ""
    call_ended: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: dict[str, AttemptRecord] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The Prefect flow run's id."""
        return self.pinned.id

    @property
    def graph(self) -> Graph:
        """The shape of the plan the run goes by.

        Raises:
            GraftlineError: it is not settled yet.
        """
        if self.settled is None:
            raise GraftlineError(f"run {self.pinned.name} has no plan yet")
        return self.settled

    @property
    def waits(self) -> dict[str, JsonValue]:
        """The tasks each task waits for, in integration order, as the journal tells it."""
        return {task: list(self.graph.waits_for(task)) for task in self.graph.order}

    @property
    def plan(self) -> Plan:
        """The plan the run goes by; like `graph`, only once it is settled."""
        return self.graph.plan

    def adopt(self, plan: Plan) -> None:
        """Go by this plan from now on, also when the run is entered again."""
        self.settled = graph_of(plan)
        self.pinned = self.pinned.going_by(plan)
        write_pinned(self.folder, self.pinned)

    @property
    def base(self) -> str:
        """The commit the run started from."""
        return self.pinned.base

    @property
    def target(self) -> Target:
        """The branch to land on, as it was when the run started."""
        return Target(branch=self.pinned.target, commit=self.pinned.base)

    @property
    def result_branch(self) -> str:
        """The branch the result waits on when it does not land."""
        return f"{self.settings.git.branch_prefix}/{self.pinned.name}"

    def ref(self, *parts: str | int) -> str:
        """A ref of this run in the hub."""
        return "/".join(["refs/graftline", self.id, *map(str, parts)])

    def agent(self, spec: TaskSpec) -> Agent:
        """Who the next attempt of a task is given to, or who heals it, after what became of its attempts so far."""
        records = (*task_records(self.folder, spec.id), *heal_records(self.folder, spec.id))
        return next_agent(route_of(self.settings, spec), records)

    def timeout_seconds(self, spec: TaskSpec) -> float:
        """Wall clock of one attempt of a task."""
        return spec.timeout_seconds or self.settings.timeouts.task_seconds

    def context_of(self, spec: TaskSpec) -> tuple[str, ...]:
        """What a task's agent is told of the plan around it: what is done beside it, and the work it builds upon."""
        before = [self.plan.task(name) for name in self.graph.dependencies(spec.id)]
        beside = describe_neighbours(self.graph, spec.id)
        return (*filter(None, [beside]), *(f"{done.id}: {done.title or done.id}" for done in before))

    def recording(self, what: str, *, task: str | None = None, attempt: int | None = None) -> OnStart:
        """Writes a process into the journal the moment it runs: whoever finds this run dead ends it by that."""

        def record(process: ProcessIdentity) -> None:
            self.journal.append(
                EventKind.PROCESS_STARTED,
                task=task,
                attempt=attempt,
                what=what,
                pid=process.pid,
                started=process.started,
            )

        return record

    @property
    def concurrent_calls(self) -> int:
        """How many calls may share what is left of the money."""
        return max(1, min(self.settings.agent.max_concurrent, len(self.pinned.tasks)))

    def claim_retry(self) -> bool:
        """Take one of the run's extra attempts, if any is left."""
        if self.retries_claimed >= self.settings.retries.max_per_run:
            return False
        self.retries_claimed += 1
        return True

    def max_retries(self, spec: TaskSpec) -> int:
        """Extra attempts of a task."""
        return self.settings.retries.max_per_task if spec.max_retries is None else spec.max_retries


NOT_STARTED = "not started: "
"""How the reason of a task begins that the run ended before."""
CANCELLED = "cancelled by request"
REJECTED = "a person rejected the plan"
BUDGET_REACHED = "budget reached"
RUN_TIMED_OUT = "the run took longer than [timeouts] run_seconds"
"""Why nothing new starts in a run; the first three have states of their own."""

_live_runs: dict[str, Run] = {}
"""Runs carried out by this process. Flows and tasks get the id, since Prefect stores their parameters on its server."""


def carry_out(run: Run) -> None:
    """Make an open run one that flows and tasks find by its id."""
    _live_runs[run.id] = run


def live_run(run_id: str) -> Run:
    """The run that this process carries out; flows and tasks find it by the id they were given."""
    return _live_runs[run_id]


def close_run(run: Run) -> None:
    """Let go of an open run: somebody else may carry it out now."""
    _live_runs.pop(run.id, None)
    run.lease.release()
