"""The report as Markdown, for `--report FILE.md` and for the artifact in Prefect's UI.

It reads well where neither Mermaid nor HTML is drawn, and nothing that agents or tests wrote is taken as Markdown.
"""

import re
from collections.abc import Iterable, Iterator

from graftline.report.estimate_wording import estimate_line
from graftline.report.model import ConflictReport, Report, TaskReport, TestReport
from graftline.report.wording import (
    answer_command,
    approve_command,
    attempts_cost,
    attempts_duration,
    cap_lines,
    duration,
    heal_line,
    money,
    next_command,
    report_cost,
    result_place,
    resume_command,
    short_commit,
    tests_line,
)
from graftline.text import plain_line, plain_text

MAXIMUM_BYTES = 200_000
LINE_CHARACTERS = 300
MESSAGE_CHARACTERS = 4_000
_CUT = "\nThis report is cut here: the JSON report has everything.\n"


def to_markdown(report: Report) -> str:
    """The report as Markdown of at most `MAXIMUM_BYTES`; a longer one is cut between lines, and says so."""
    return bounded(_parts(report), _CUT)


def bounded(parts: Iterable[str], cut: str) -> str:
    """The parts up to `MAXIMUM_BYTES` together; from the first on that does not fit, `cut` stands in their place."""
    kept = []
    room = MAXIMUM_BYTES - len(cut.encode())
    for part in parts:
        room -= len(part.encode())
        if room < 0:
            kept.append(cut)
            break
        kept.append(part)
    return "".join(kept)


def escape(text: str, limit: int = LINE_CHARACTERS) -> str:
    r"""Foreign text as one line that Markdown shows as it is, in a table cell too.

    An underscore inside a word stays bare: it means nothing there, and names of tests are full of them.
    """
    line = re.sub(r"[\\`*\[\]<>|~#!&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\\g<0>", plain_line(text, limit))
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", line)


def code_span(text: str) -> str:
    """Foreign text as code within a line; not for table cells, where a bar would end the cell."""
    line = plain_line(text, LINE_CHARACTERS)
    fence = "`" * (_longest_run_of_backticks(line) + 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}" if line else ""


def code_block(text: str) -> str:
    """Foreign text of several lines, fenced so that nothing in it ends the fence."""
    body = plain_text(text, MESSAGE_CHARACTERS).strip("\n")
    fence = "`" * max(3, _longest_run_of_backticks(body) + 1)
    return f"{fence}text\n{body}\n{fence}\n"


def _longest_run_of_backticks(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


def _parts(report: Report) -> Iterator[str]:
    """The report in pieces that are never cut."""
    yield f"# {escape(report.run)}: {report.state}\n\n"
    yield f"{escape(report.reason, 1000)}\n\n"
    yield f"- Result: {escape(result_place(report))}\n"
    yield f"- Base: {code_span(short_commit(report.base_commit))}\n"
    yield f"- Tests: {escape(tests_line(report))}\n"
    yield f"- Cost: {report_cost(report)}\n"
    yield from (f"- Cap: {escape(line, 1000)}\n" for line in cap_lines(report))
    yield f"- Time: {duration(report.seconds)}\n"
    if line := estimate_line(report):
        yield f"- Estimate: {escape(line, 1000)}\n"
    if command := next_command(report):
        yield f"- Next: {code_span(command)}\n"
    if command := resume_command(report):
        yield f"- Go on: {code_span(command)}\n"
    if report.tasks:
        yield "\n## Tasks\n\n| Task | State | Attempts | Cost | Time | Commit | Why |\n|---|---|---|---|---|---|---|\n"
        yield from map(_task_row, report.tasks)
    yield from _items("Conflicts", [_conflict(conflict) for conflict in report.conflicts])
    if report.tests and report.tests.failures:
        yield from _failures(report.tests)
    yield from _items("Healing", [escape(heal_line(heal), 1000) for heal in report.heals])
    yield from _items(
        "Questions",
        [
            f"{escape(one.task)}: {escape(one.question, 1000)}; answer with {code_span(answer_command(report, one))}"
            for one in report.questions
        ],
    )
    if report.approval is not None:
        what = f"{report.approval.what} {report.approval.number} waits for a person"
        yield from _items("Approval", [f"{what}; approve it with {code_span(approve_command(report))}"])
    yield from _items(
        "Kept work",
        [f"{escape(kept.task)}: {code_span(kept.ref)} at {short_commit(kept.commit)}" for kept in report.salvage],
    )
    yield from _items("Notes", [escape(note, 1000) for note in report.notes])
    yield from _attempts(report)


def _task_row(task: TaskReport) -> str:
    cells = (
        escape(task.id),
        task.state,
        str(len(task.attempts)),
        attempts_cost(task.attempts),
        attempts_duration(task.attempts),
        escape(short_commit(task.commit)),
        escape(task.reason or task.title),
    )
    return f"| {' | '.join(cells)} |\n"


def _items(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"\n## {title}\n\n"
        yield from (f"- {line}\n" for line in lines)


def _conflict(conflict: ConflictReport) -> str:
    others = ", ".join(map(escape, conflict.with_tasks))
    files = ", ".join(map(code_span, conflict.files[:20]))
    more = f" and {len(conflict.files) - 20} more" if len(conflict.files) > 20 else ""
    return f"{escape(conflict.task)} collides with {others} in {files}{more}"


def _failures(tests: TestReport) -> Iterator[str]:
    yield "\n## Failing tests\n"
    for failure in tests.failures:
        yield f"\n{code_span(failure.test)}\n\n{code_block(failure.message)}"


def _attempts(report: Report) -> Iterator[str]:
    """Every call, after what matters more: the first to go when the report is too long."""
    attempts = [(task, attempt) for task in report.tasks for attempt in task.attempts]
    if not attempts:
        return
    yield "\n## Attempts\n\n| Task | Attempt | Agent | Model | Outcome | Cost | Time | Detail |\n"
    yield "|---|---|---|---|---|---|---|---|\n"
    for task, attempt in attempts:
        cells = (
            escape(task.id),
            str(attempt.number),
            escape(f"{attempt.backend} {attempt.version}"),
            escape(attempt.model),
            attempt.outcome,
            money(attempt.cost_usd),
            duration(attempt.seconds),
            escape(attempt.detail),
        )
        yield f"| {' | '.join(cells)} |\n"
