"""`graftline status` and `graftline logs`: how a run stands or ended, and what its agents printed."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from graftline.cli.runs import open_records
from graftline.errors import UnknownRunError
from graftline.report.assemble import assemble_report
from graftline.report.model import RunState, to_json
from graftline.report.terminal import print_report
from graftline.text import plain_text

POLL_SECONDS = 0.5
LINE_CHARACTERS = 4000


def status(
    run: str | None = None, /, *, repository: Path = Path(), json: Annotated[bool, Parameter(negative=())] = False
) -> int:
    """Show how a run stands or ended: its tasks, tests, heals, cost and where the result is.

    Parameters
    ----------
    run
        A run's name or id, or the beginning of one; this repository's latest when left out.
    repository
        The git repository the run is of.
    json
        Print the report as JSON.
    """
    records = open_records(run, repository)
    report = assemble_report(records.pinned, records.folder, records.entries, records.account)
    if report.state is RunState.RUNNING and not records.is_alive:
        report = report.model_copy(
            update={"state": RunState.CRASHED, "reason": "its process is gone; what was finished is on its refs"}
        )
    if json:
        sys.stdout.write(to_json(report))
    else:
        print_report(report, Console())
    return 0


def logs(
    task: str,
    /,
    *,
    run: str | None = None,
    follow: Annotated[bool, Parameter(negative=())] = False,
    repository: Path = Path(),
) -> int:
    """Show what the latest agent of a task printed.

    Parameters
    ----------
    task
        The task's id.
    run
        A run's name or id, or the beginning of one; this repository's latest when left out.
    follow
        Go on as the agent prints, until the run is over.
    repository
        The git repository the run is of.
    """
    records = open_records(run, repository)
    if task not in {spec.id for spec in records.pinned.plan.tasks}:
        known = ", ".join(spec.id for spec in records.pinned.plan.tasks)
        raise UnknownRunError(f"run {records.pinned.name} has no task {task!r}; it has {known}")
    attempts = [*records.folder.attempts(task), *records.folder.heals(task)]
    log = max((folder / "agent.log" for folder in attempts if (folder / "agent.log").exists()), key=_age, default=None)
    if log is None:
        raise UnknownRunError(f"task {task!r} of run {records.pinned.name} has no log: no agent was started for it")
    sys.stderr.write(f"{log}\n")
    for line in _lines(log) if not follow else _follow(log, records.is_running):
        sys.stdout.write(plain_text(line, LINE_CHARACTERS) + "\n")
        sys.stdout.flush()
    return 0


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _lines(log: Path) -> Iterator[str]:
    with log.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            yield line.rstrip("\n")


def _follow(log: Path, is_running: Callable[[], bool]) -> Iterator[str]:
    """The log's lines as they come; polled, since no event tells that a file of another process has grown."""
    pending = ""
    with log.open(encoding="utf-8", errors="replace") as file:
        while True:
            running = is_running()
            pending += file.read()
            *lines, pending = pending.split("\n")
            yield from lines
            if not running:
                break
            time.sleep(POLL_SECONDS)
    if pending:
        yield pending
