"""The report on a terminal: complete, plain where colour is unwanted, and safe to print."""

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from graftline.report.model import Report, RunState, TaskState, TestFailure
from graftline.report.terminal import print_report

MakeReport = Callable[[str], Report]


def printed(report: Report, *, width: int = 160, colour: bool = False) -> str:
    output = io.StringIO()
    print_report(report, Console(file=output, width=width, force_terminal=colour))
    return output.getvalue()


def test_report_tells_what_happened_and_ends_with_the_next_command(make_report: MakeReport) -> None:
    lines = [" ".join(line.split()) for line in printed(make_report("what it was")).splitlines()]
    assert lines == [
        "Task State Attempts Cost Time Commit Why",
        "api succeeded 2 unknown 2 min 2 s cccccccccccc what it was",
        "docs conflicted 1 $0.12 1 min 1 s dddddddddddd what it was",
        "later skipped 0 docs conflicted",
        "Conflict: docs with api in what it was",
        "Failing test: what it was: what it was",
        "Heal: round 1: what it was went back to api: healed ($0.12)",
        "Question: api: what it was",
        "Answer: graftline answer fix-login-111111 api 'ANSWER'",
        "Approval: plan 2 waits for a person",
        "Approve: graftline approve fix-login-111111, or with --reject",
        "Kept work: api: refs/graftline/1/salvage/api/1 at ffffffffffff",
        "Note: what it was",
        "Tests: python -m pytest 'what it was' ended with 1: 11 passed, 1 failed; 1 failed before this run",
        "Cost: $0.36 and 1 call of unknown cost (counted as $0.50) in 1 h 6 min",
        "Estimate: $0.20 to $1.50; 20 to 50 min (1 h 5 min: did not hold); going by what it was; "
        "80% intervals held here of time in 6 of 9 runs, of cost in 1 of 1 run",
        "Cap: the run's cap of $1.00 leaves $0.14, and the next call counts as $0.50; resume with a higher --max-cost",
        "Cap: the agent of what it was used up the $0.30 it was given of the task's cap of $0.40; "
        "raise [cost] task_usd and resume with --yes",
        "Result: on branch graftline/fix-login-111111; main was not moved",
        "Partial: what it was",
        "Go on: graftline resume fix-login-111111",
        "Next: git switch main && git merge graftline/fix-login-111111",
    ]


def test_a_run_that_never_had_a_plan_has_no_table_of_tasks(make_report: MakeReport) -> None:
    report = make_report("x")
    assert "Attempts" not in printed(report.model_copy(update={"tasks": ()}))


def test_failed_task_with_a_log_is_what_to_look_at_next(make_report: MakeReport) -> None:
    report = make_report("x")
    failed = report.tasks[0].model_copy(update={"state": TaskState.FAILED})
    report = report.model_copy(update={"state": RunState.FAILED, "branch": None, "tasks": (failed,)})
    assert printed(report).splitlines()[-1] == "Next: graftline logs api --run fix-login-111111"


def test_many_failing_tests_are_counted_rather_than_listed(make_report: MakeReport) -> None:
    report = make_report("x")
    assert report.tests is not None
    failures = tuple(TestFailure(test=f"test_{number}", message="") for number in range(25))
    report = report.model_copy(update={"tests": report.tests.model_copy(update={"failures": failures})})
    failing = [line for line in printed(report).splitlines() if line.startswith("Failing test: ")]
    assert len(failing) == 11
    assert failing[-1] == "Failing test: and 15 more, in the JSON report"


@given(foreign=st.text())
def test_nothing_foreign_reaches_the_terminal_as_a_control_or_a_line_of_its_own(
    make_report: MakeReport, foreign: str
) -> None:
    output = printed(make_report(f"[bold]a[/nonsense] \x1b[2J\x1b]8;;x\x07 :smile: {foreign}"), width=4000)
    assert "[bold]a[/nonsense]" in output
    assert ":smile:" in output
    assert not {character for character in output if character < " " and character != "\n"}
    assert len(output.splitlines()) == 22


def test_colour_is_used_on_a_terminal_and_not_when_it_is_unwanted(
    make_report: MakeReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in printed(make_report("x"), colour=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in printed(make_report("x"), colour=True)


def test_command_to_copy_is_never_broken_over_lines(make_report: MakeReport) -> None:
    assert (
        printed(make_report("x"), width=30).splitlines()[-1]
        == "Next: git switch main && git merge graftline/fix-login-111111"
    )
