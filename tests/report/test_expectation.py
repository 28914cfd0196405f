"""What earlier runs of a repository tell of the next, and whether a run came to what was expected of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from graftline.agents.outcome import OutcomeKind, Usage
from graftline.caps import Cap, Reservation, Scope
from graftline.journal import Entry, EventKind, Journal
from graftline.ledger import Ledger, NextCall, Role
from graftline.pinned import PinnedRun, write_pinned
from graftline.plan import Plan, Size, TaskSpec
from graftline.planning.estimate import estimate
from graftline.planning.past import Past, PastRun, PastTask, read_past
from graftline.report.expectation import estimate_report
from graftline.report.files import save_report
from graftline.report.model import Coverage, EstimateReport, Report, RunState
from graftline.request import BuildRequest
from graftline.settings import Settings
from graftline.store import RepositoryStore, RunFolder, repository_store

MakeReport = Callable[[str], Report]
PLAN = Plan(
    tasks=(
        TaskSpec(id="a", prompt="x", size=Size.SMALL),
        TaskSpec(id="b", prompt="x"),
        TaskSpec(id="c", prompt="x"),
    )
)
SETTINGS = Settings.model_validate(
    {"agent": {"backend": "fixed"}, "agents": {"fixed": {"type": "command", "command": ["true"], "cost_usd": 0.5}}}
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "state")


@pytest.fixture
def store(tmp_path: Path) -> RepositoryStore:
    return repository_store(tmp_path / "state", "/x/.git")


def pay(
    ledger: Ledger,
    run: str,
    task: str | None,
    outcome: OutcomeKind | None = OutcomeKind.OK,
    *,
    cost_usd: float | None = 0.5,
    role: Role = Role.TASK,
    seconds: float = 60,
) -> None:
    """A call that has ended; still open without an outcome."""
    held = ledger.reserve(
        NextCall(run_id=run, role=role, backend="command", profile="fixed", task=task, attempt=1),
        [Cap(Scope.RUN, 100)],
        lambda _: 0.5,
    )
    assert isinstance(held, Reservation)
    if outcome is not None:
        ledger.complete(held.call, Usage(cost_usd=cost_usd), outcome=outcome, seconds=seconds)


def pinned(run: str, plan: Plan | None = PLAN) -> PinnedRun:
    return PinnedRun(
        id=run,
        name=run,
        request=BuildRequest(plan=PLAN),
        repository="/x",
        target="main",
        base="a" * 40,
        created=datetime.now(UTC),
        plan=plan,
        settings={},
    )


def ended(
    store: RepositoryStore, report: Report, number: int, *, seconds_taken: float = 0.0, is_over: bool = True
) -> RunFolder:
    """A run that has ended, with the report of one that was expected to take 10 to 100 s."""
    folder = store.run(f"{number:08}-0000-4000-8000-000000000000")
    Journal.create(folder.journal, folder.id, f"run-{number}")
    write_pinned(folder, pinned(folder.id))
    assert report.estimate is not None
    held = 10 <= seconds_taken <= 100 if is_over else None
    told = report.estimate.model_copy(update={"seconds_taken": seconds_taken, "seconds_held": held})
    save_report(report.model_copy(update={"flow_run_id": folder.id, "estimate": told}), folder)
    return folder


def test_attempts_and_heals_of_a_task_count_together_and_only_rows_of_this_repositorys_runs_do(
    store: RepositoryStore, ledger: Ledger, make_report: MakeReport
) -> None:
    run = ended(store, make_report("x"), 1, seconds_taken=90)
    pay(ledger, run.id, None, role=Role.PLANNER)
    pay(ledger, run.id, "a", OutcomeKind.FAILED)
    pay(ledger, run.id, "a")
    pay(ledger, run.id, "b", cost_usd=None)
    pay(ledger, run.id, "a", role=Role.HEAL)
    pay(ledger, run.id, "gone")
    pay(ledger, "of-another-repository", "a")

    (told,) = read_past(store, ledger).runs

    assert told.tasks == (
        PastTask(agent="fixed", size=Size.SMALL, calls=3, cost_usd=1.5, seconds=180.0),
        PastTask(agent="fixed", size=None, calls=1, cost_usd=None, seconds=60.0),
    )
    assert told.idle_seconds == pytest.approx(90, abs=5), "the rows were open for a moment only"


@pytest.mark.parametrize("outcome", [OutcomeKind.INTERRUPTED, OutcomeKind.BUDGET, OutcomeKind.AUTH, None])
def test_a_task_that_was_cut_off_tells_nothing(
    store: RepositoryStore, ledger: Ledger, make_report: MakeReport, outcome: OutcomeKind | None
) -> None:
    run = ended(store, make_report("x"), 1, is_over=False)
    pay(ledger, run.id, "a")
    pay(ledger, run.id, "a", outcome)
    pay(ledger, run.id, "b", OutcomeKind.FAILED)

    assert read_past(store, ledger) == Past(
        (PastRun((PastTask(agent="fixed", size=None, calls=1, cost_usd=0.5, seconds=60.0),), None),)
    )


def test_runs_that_have_not_ended_or_whose_records_cannot_be_read_tell_nothing(
    store: RepositoryStore, ledger: Ledger, make_report: MakeReport
) -> None:
    assert read_past(store, ledger) == Past()
    running = store.run("00000002-0000-4000-8000-000000000000")
    Journal.create(running.journal, running.id, "running")
    write_pinned(running, pinned(running.id))
    pay(ledger, running.id, "a")
    damaged = ended(store, make_report("x"), 3)
    damaged.report_json.write_text('{"of": "another version"}')
    unsettled = ended(store, make_report("x"), 4)
    write_pinned(unsettled, pinned(unsettled.id, plan=None))

    assert [run.tasks for run in read_past(store, ledger).runs] == [()]


def entries(data: dict[str, object], *more: tuple[int, EventKind]) -> list[Entry]:
    """A plan that was settled after a minute, and what came of it, in seconds from then on."""
    begun = datetime.now(UTC)
    told = [
        (-60, EventKind.RUN_PREPARED, {}),
        (0, EventKind.PLAN_SETTLED, data),
        *((at, kind, {}) for at, kind in more),
    ]
    return [
        Entry.model_validate({"at": begun + timedelta(seconds=at), "event": kind, "data": d}) for at, kind, d in told
    ]


def test_a_run_is_held_against_its_estimate_and_its_repositorys_runs_are_counted(
    store: RepositoryStore, ledger: Ledger, make_report: MakeReport
) -> None:
    for number, seconds in enumerate((50, 20, 500), start=1):
        ended(store, make_report("x"), number, seconds_taken=seconds)
    ended(store, make_report("x"), 8, is_over=False)
    run = store.run("00000009-0000-4000-8000-000000000000")
    expected = estimate(PLAN, SETTINGS, Past())
    pay(ledger, run.id, "a")
    pay(ledger, run.id, "b", seconds=5)
    pay(ledger, run.id, "c", seconds=600)
    pay(ledger, run.id, "c", role=Role.HEAL)
    journal = entries(
        {"estimate": expected.model_dump(mode="json")},
        (100, EventKind.QUESTION_ASKED),
        (50_100, EventKind.QUESTION_ANSWERED),
        (50_300, EventKind.RUN_ENDED),
    )

    def told(state: RunState, since: list[Entry] = journal) -> EstimateReport | None:
        return estimate_report(pinned(run.id), run, since, ledger.account(run.id), state)

    landed = told(RunState.LANDED)
    assert landed is not None
    assert (landed.cost_usd, landed.seconds) == (expected.cost_usd, expected.seconds)
    assert (landed.cost_held, landed.seconds_held, landed.seconds_taken) == (True, True, 300.0)
    assert landed.task_costs == Coverage(held=3, of=3)
    assert landed.task_seconds == Coverage(held=2, of=3), "b took less than it was expected to"
    assert landed.run_seconds == Coverage(held=3, of=4)
    assert landed.run_costs == Coverage(held=1, of=1)

    stopped = told(RunState.CANCELLED)
    assert stopped is not None
    assert (stopped.cost_held, stopped.seconds_held) == (None, None)
    assert (stopped.task_costs, stopped.run_seconds) == (Coverage(held=0, of=0), Coverage(held=2, of=3))

    pay(ledger, run.id, "a", cost_usd=None)
    untold = told(RunState.LANDED)
    assert untold is not None
    assert (untold.cost_held, untold.seconds_held) == (None, True)

    assert told(RunState.LANDED, entries({})) is None
    assert told(RunState.LANDED, entries({"estimate": {"of": "another version"}})) is None
    assert told(RunState.LANDED, journal[:1]) is None
