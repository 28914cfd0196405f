"""The end of a run: what ended it, in one state and one sentence."""

from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from graftline.caps import Scope
from graftline.closing import close, conclude
from graftline.errors import GitFailedError
from graftline.journal import Entry, EventKind
from graftline.report.assemble import History
from graftline.report.files import read_report
from graftline.report.model import CapReport, RunState
from graftline.run import BUDGET_REACHED, CANCELLED, RUN_TIMED_OUT
from tests.pipeline import Project, task

GIT_FAILED = GitFailedError(("write-tree",), 128, "no space left")
LANDED = {"commit": "c" * 40, "branch": None, "text": "", "command": ""}
AFTER = "nothing landed; what was finished is kept"


def entry(event: EventKind, data: dict[str, JsonValue]) -> Entry:
    return Entry(at=datetime.now(UTC), event=event, data=data)


@pytest.mark.parametrize(
    ("ending", "state", "reason"),
    [
        (GIT_FAILED, RunState.CRASHED, "git write-tree ended with 128: no space left"),
        (ExceptionGroup("x", [ExceptionGroup("y", [GIT_FAILED])]), RunState.CRASHED, str(GIT_FAILED)),
        (KeyError("x"), RunState.CRASHED, "a defect in graftline ended the run: KeyError('x')"),
        (KeyboardInterrupt(), RunState.CANCELLED, f"ended by a signal; {AFTER}"),
        (BaseExceptionGroup("x", [KeyboardInterrupt()]), RunState.CANCELLED, f"ended by a signal; {AFTER}"),
    ],
)
async def test_what_ended_a_run_is_told_apart(
    offline_project: Project, ending: BaseException, state: RunState, reason: str
) -> None:
    run = await offline_project.open([task("a")], {})
    assert conclude(run, History(), ending) == (state, reason)


@pytest.mark.parametrize(
    ("stop_reason", "state", "reason"),
    [
        (CANCELLED, RunState.CANCELLED, f"cancelled by request; {AFTER}"),
        (RUN_TIMED_OUT, RunState.FAILED, f"{RUN_TIMED_OUT}; a did not make it; nothing landed"),
        ("auth: the key was refused", RunState.FAILED, "auth: the key was refused; a did not make it; nothing landed"),
    ],
)
async def test_why_a_run_was_stopped_is_its_reason(
    offline_project: Project, stop_reason: str, state: RunState, reason: str
) -> None:
    run = await offline_project.open([task("a")], {})
    run.stop_reason = stop_reason
    assert conclude(run, History(), None) == (state, reason)


async def test_a_run_that_a_cap_left_incomplete_says_which_cap_and_one_that_is_complete_says_nothing_of_it(
    offline_project: Project,
) -> None:
    run = await offline_project.open([task("a")], {})
    run.stop_reason = BUDGET_REACHED
    cap = CapReport(cap=Scope.DAY, task="a", limit_usd=9, counted_usd=8.75, asked_usd=0.5, called=False)
    history = History(caps_reached={("day", ""): cap})
    assert conclude(run, history, None) == (
        RunState.BUDGET_REACHED,
        "budget reached: the day's cap of $9.00 leaves $0.25, and the next call counts as $0.50; a did not make it; "
        "nothing landed",
    )
    history.task_ends["a"] = entry(EventKind.TASK_SUCCEEDED, {})
    history.verifications.append(entry(EventKind.VERIFY_ENDED, {"passed": False, "reason": "1 failed", "commit": "c"}))
    state, reason = conclude(run, history, None)
    assert (state, reason.partition("; ")[2]) == (RunState.BUDGET_REACHED, "tests are red: 1 failed; nothing landed")
    history.landing = entry(EventKind.LANDED, {**LANDED})
    history.verifications.append(entry(EventKind.VERIFY_ENDED, {"passed": True, "reason": "ok", "commit": "c" * 40}))
    assert conclude(run, history, None)[0] is RunState.LANDED


@pytest.mark.parametrize("how", ["request", "signal"])
async def test_a_cancellation_that_comes_after_the_landing_comes_too_late(offline_project: Project, how: str) -> None:
    run = await offline_project.open([task("a")], {})
    history = History(landing=entry(EventKind.LANDED, {**LANDED}))
    history.task_ends["a"] = entry(EventKind.TASK_SUCCEEDED, {})
    run.stop_reason = CANCELLED if how == "request" else ""
    ending = KeyboardInterrupt() if how == "signal" else None
    assert conclude(run, history, ending) == (RunState.LANDED, f"main is now at {'c' * 12}")


async def test_the_report_is_written_whatever_ended_the_run(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {})
    report = close(run, GIT_FAILED)
    assert read_report(run.folder) == report
    assert (report.state, report.reason) == (RunState.CRASHED, str(GIT_FAILED))
    assert [each.state.value for each in report.tasks] == ["not-run"]
    assert run.journal.entries()[-1].event is EventKind.RUN_ENDED
