"""The report on a terminal: the last thing a person sees of a run, so the result and the next command come last."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graftline.report.estimate_wording import estimate_line
from graftline.report.model import EXIT_CODES, HealOutcome, Report, RunState, TaskState
from graftline.report.wording import (
    answer_command,
    approve_command,
    attempts_cost,
    attempts_duration,
    cap_lines,
    duration,
    heal_line,
    next_command,
    report_cost,
    result_place,
    resume_command,
    short_commit,
    tests_line,
)
from graftline.text import plain_line

LINE_CHARACTERS = 200
SHOWN_FAILURES = 10
_TASK_STYLES = {
    TaskState.SUCCEEDED: "green",
    TaskState.NO_CHANGE: "green",
    TaskState.FAILED: "red",
    TaskState.CONFLICTED: "red",
    TaskState.SKIPPED: "yellow",
    TaskState.NOT_RUN: "yellow",
    TaskState.CANCELLED: "yellow",
    TaskState.RUNNING: "cyan",
}


def print_report(report: Report, console: Console) -> None:
    """Print the report; nothing that agents or tests wrote is taken as markup or as a control sequence.

    The console decides on colour, so `NO_COLOR` holds.
    """
    if report.tasks:  # there are none where a request never became a plan
        console.print(_tasks(report))
    for conflict in report.conflicts:
        files = ", ".join(conflict.files)
        _print_line(console, "Conflict", f"{conflict.task} with {', '.join(conflict.with_tasks)} in {files}", "red")
    for failure in _failures(report):
        _print_line(console, "Failing test", failure, "red")
    for heal in report.heals:
        style = "green" if heal.outcome is HealOutcome.HEALED else "red"
        _print_line(console, "Heal", heal_line(heal), style)
    for question in report.questions:
        _print_line(console, "Question", f"{question.task}: {question.question}", "yellow")
        _print_line(console, "Answer", answer_command(report, question), "bold")
    if report.approval is not None:
        _print_line(
            console, "Approval", f"{report.approval.what} {report.approval.number} waits for a person", "yellow"
        )
        _print_line(console, "Approve", f"{approve_command(report)}, or with --reject", "bold")
    for kept in report.salvage:
        _print_line(console, "Kept work", f"{kept.task}: {kept.ref} at {short_commit(kept.commit)}")
    for note in report.notes:
        _print_line(console, "Note", note)
    _print_line(console, "Tests", tests_line(report))
    _print_line(console, "Cost", f"{report_cost(report)} in {duration(report.seconds)}")
    if line := estimate_line(report):
        _print_line(console, "Estimate", line)
    for line in cap_lines(report):
        _print_line(console, "Cap", line, "red")
    _print_line(console, "Result", result_place(report), "bold")
    _print_line(console, _headline(report.state), report.reason, "green" if EXIT_CODES[report.state] == 0 else "red")
    if command := resume_command(report):
        _print_line(console, "Go on", command, "bold")
    if command := next_command(report):
        _print_line(console, "Next", command, "bold")


def _tasks(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("Task", "State", "Attempts", "Cost", "Time", "Commit", "Why"):
        table.add_column(title, overflow="fold", justify="right" if title in {"Attempts", "Cost", "Time"} else "left")
    for task in report.tasks:
        table.add_row(
            Text(plain_line(task.id, 64)),
            Text(task.state, style=_TASK_STYLES[task.state]),
            str(len(task.attempts)),
            attempts_cost(task.attempts),
            attempts_duration(task.attempts),
            Text(short_commit(task.commit)),
            Text(plain_line(task.reason or task.title, LINE_CHARACTERS)),
        )
    return table


def _failures(report: Report) -> Iterator[str]:
    failures = report.tests.failures if report.tests else ()
    for failure in failures[:SHOWN_FAILURES]:
        first_line, *_more = failure.message.strip().splitlines() or [""]
        yield f"{failure.test}: {first_line}"
    if len(failures) > SHOWN_FAILURES:
        yield f"and {len(failures) - SHOWN_FAILURES} more, in the JSON report"


def _headline(state: RunState) -> str:
    return state.replace("-", " ").capitalize()


def _print_line(console: Console, title: str, text: str, style: str = "") -> None:
    line = Text.assemble((f"{title}: ", style), plain_line(text, LINE_CHARACTERS * 2))
    console.print(line, soft_wrap=True)  # a command that is wrapped cannot be copied
