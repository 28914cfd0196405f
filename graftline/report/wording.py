"""The words both forms of the report for people use: costs, times, where the result is and what to do next."""

import math
import shlex
from collections.abc import Sequence

from graftline.caps import Scope, Shortage
from graftline.ledger import Account
from graftline.report.model import (
    AttemptReport,
    CapReport,
    HealReport,
    QuestionReport,
    Report,
    RunState,
    TaskState,
    is_resumable,
)
from graftline.text import plain_line

_WHOSE = {
    Scope.TASK: "the task's",
    Scope.RUN: "the run's",
    Scope.DAY: "the day's",
    Scope.DEPLOYMENT: "the deployment's",
}
_REMEDIES = {
    Scope.TASK: "raise [cost] task_usd and resume with --yes",
    Scope.RUN: "resume with a higher --max-cost",
    Scope.DAY: "resume tomorrow, or raise [cost] day_usd and resume with --yes",
    Scope.DEPLOYMENT: "raise [cost] deployment_usd and resume with --yes",
}


LABEL_CHARACTERS = 8


def labelled(label: str, text: str) -> str:
    """A line of an overview; text of a plan in it stays one line and steers no terminal."""
    return f"{label:{LABEL_CHARACTERS}}{plain_line(text, 1000)}"


def counted(number: int, thing: str) -> str:
    """So many of a thing, in words."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def short_commit(commit: str | None) -> str:
    """The first 12 characters of a commit; empty when there is none."""
    return (commit or "")[:12]


def money(amount_usd: float | None) -> str:
    """An amount to the cent, or finer when it is less than one."""
    if amount_usd is None:
        return "unknown"
    return f"${amount_usd:.4f}" if 0 < amount_usd < 0.01 else f"${amount_usd:,.2f}"


def total_cost(known_usd: float, unknown_calls: int, unknown_usd: float) -> str:
    """What calls cost together; what is unknown is said with what it counts as, never counted as nothing."""
    if not unknown_calls:
        return money(known_usd)
    calls = "1 call" if unknown_calls == 1 else f"{unknown_calls} calls"
    return f"{money(known_usd)} and {calls} of unknown cost (counted as {money(unknown_usd)})"


def report_cost(report: Report) -> str:
    """What a run cost."""
    return total_cost(report.cost_known_usd, report.unknown_calls, report.cost_unknown_usd)


def account_cost(account: Account) -> str:
    """What the calls of an account cost."""
    return total_cost(account.known_usd, account.unknown_calls, account.unknown_usd)


def describe_shortage(shortage: Shortage) -> str:
    """Why a call may not start."""
    room = shortage.room
    return _shortage(room.cap.scope, room.cap.limit_usd, room.counted_usd, shortage.asked_usd)


def _shortage(cap: Scope, limit_usd: float, counted_usd: float, asked_usd: float) -> str:
    left = money(max(0.0, round(limit_usd - counted_usd, 6)))
    return f"{_WHOSE[cap]} cap of {money(limit_usd)} leaves {left}, and the next call counts as {money(asked_usd)}"


def cap_line(reached: CapReport) -> str:
    """Which cap left something undone, and how."""
    if not reached.called:
        return _shortage(reached.cap, reached.limit_usd, reached.counted_usd, reached.asked_usd)
    agent = f"the agent of {reached.task}" if reached.task else "the agent"
    part = f"{money(reached.asked_usd)} it was given of {_WHOSE[reached.cap]} cap of {money(reached.limit_usd)}"
    return f"{agent} used up the {part}"


def cap_lines(report: Report) -> list[str]:
    """The caps that left something undone, each with what can be done about it."""
    return [f"{cap_line(reached)}; {_REMEDIES[reached.cap]}" for reached in report.caps_reached]


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
    """The command that goes on with a run; None when there is nothing left to do, or it goes on.

    Where the run's own cap stopped it, with twice as much, or what the next call needs.
    """
    if not is_resumable(report.state):
        return None
    spent_usd = report.cost_known_usd + report.cost_unknown_usd
    wanted = [
        max(2 * reached.limit_usd, spent_usd + reached.asked_usd)
        for reached in report.caps_reached
        if reached.cap is Scope.RUN and report.state is RunState.BUDGET_REACHED
    ]
    more = f" --max-cost {math.ceil(100 * max(wanted)) / 100:.2f}" if wanted else ""
    return f"graftline resume {shlex.quote(report.run)}{more}"


def answer_command(report: Report, question: QuestionReport) -> str:
    """The command that answers a question."""
    return f"graftline answer {shlex.quote(report.run)} {shlex.quote(question.task)} 'ANSWER'"


def approve_command(report: Report) -> str:
    """The command that approves what waits for that."""
    return f"graftline approve {shlex.quote(report.run)}"


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
