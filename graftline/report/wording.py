"""The words both forms of the report for people use: costs, times, where the result is and what to do next."""

import math
import shlex
from collections.abc import Sequence

from graftline.report.model import AttemptReport, HealReport, QuestionReport, Report, RunState, TaskState, is_resumable


def short_commit(commit: str | None) -> str:
    """The first 12 characters of a commit; empty when there is none."""
    return (commit or "")[:12]


def money(amount_usd: float | None) -> str:
    """An amount to the cent, or finer when it is less than one."""
    if amount_usd is None:
        return "unknown"
    return f"${amount_usd:.4f}" if 0 < amount_usd < 0.01 else f"${amount_usd:,.2f}"


def total_cost(report: Report) -> str:
    """What the run cost; what is unknown is said, never counted as nothing."""
    if report.cost_usd is not None:
        return money(report.cost_usd)
    calls = "1 call" if report.unknown_calls == 1 else f"{report.unknown_calls} calls"
    return f"{money(report.cost_known_usd)} and {calls} of unknown cost"


def attempts_cost(attempts: Sequence[AttemptReport]) -> str:
    """What the attempts of a task cost: unknown when one of them is, empty when there were none."""
    known = [attempt.cost_usd for attempt in attempts if attempt.cost_usd is not None]
    if len(known) < len(attempts):
        return "unknown"
    return money(math.fsum(known)) if known else ""


def attempts_duration(attempts: Sequence[AttemptReport]) -> str:
    """How long the attempts of a task took together; empty when there were none."""
    return duration(sum(attempt.seconds for attempt in attempts)) if attempts else ""


def duration(seconds: float) -> str:
    """A time span in the two units that matter."""
    whole = round(seconds)
    if whole < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def result_place(report: Report) -> str:
    """Where the result is."""
    if report.landed_commit:
        return f"{report.target} is now at {short_commit(report.landed_commit)}"
    if report.branch:
        return f"on branch {report.branch}; {report.target} was not moved"
    return f"{report.target} was not moved"


def tests_line(report: Report) -> str:
    """How the tests ended, in a line."""
    tests = report.tests
    if tests is None:
        return 'untested ([test] runner = "none")' if report.landed_commit or report.branch else "not run"
    counts = "" if tests.passed is None or tests.failed is None else f": {tests.passed} passed, {tests.failed} failed"
    base = f"; {len(tests.base_failures)} failed before this run" if tests.base_failures else ""
    return f"{shlex.join(tests.command)} ended with {tests.exit_code}{counts}{base}"


def heal_line(heal: HealReport) -> str:
    """What a heal call was for and what it brought, in a line."""
    tests = ", ".join(heal.tests[:3]) + (f" and {len(heal.tests) - 3} more" if len(heal.tests) > 3 else "")
    return f"round {heal.round}: {tests} went back to {heal.task}: {heal.outcome} ({money(heal.cost_usd)})"


def resume_command(report: Report) -> str | None:
    """The command that goes on with a run; None when there is nothing left to do, or it goes on."""
    return f"graftline resume {shlex.quote(report.run)}" if is_resumable(report.state) else None


def answer_command(report: Report, question: QuestionReport) -> str:
    """The command that answers a question."""
    return f"graftline answer {shlex.quote(report.run)} {shlex.quote(question.task)} 'ANSWER'"


def next_command(report: Report) -> str | None:
    """The command a person most likely wants now; None when there is nothing to do or to see."""
    run = shlex.quote(report.run)
    if report.landed_commit:
        return f"git log --stat {short_commit(report.base_commit)}..{short_commit(report.landed_commit)}"
    if report.branch:
        return f"git switch {shlex.quote(report.target)} && git merge {shlex.quote(report.branch)}"
    if report.state is RunState.NOTHING_TO_LAND:
        return None
    for task in report.tasks:
        if task.state is TaskState.FAILED and task.attempts:
            return f"graftline logs {shlex.quote(task.id)} --run {run}"
    if report.salvage or any(task.commit for task in report.tasks):
        return f"graftline diff {run}"
    return f"graftline status {run}"
