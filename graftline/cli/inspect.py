"""`graftline status` and `graftline logs`: how a run stands or ended, and what its agents printed."""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Annotated

from cyclopts import Parameter

from graftline.cli.console import stderr_console, stdout_console
from graftline.cli.runs import Records, open_records
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
    if report.state is RunState.RUNNING and not records.is_running():
        reason = "its process is gone, and what it left could not be looked after"
        report = report.model_copy(update={"state": RunState.CRASHED, "reason": reason})
    if json:
        sys.stdout.write(to_json(report))
    else:
        console = stdout_console()
        console.say(f"Run: {report.run} ({report.flow_run_id}) of {records.pinned.repository}")
        print_report(report, console)
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
        Wait for the agent to start if need be, and go on as it and its successors print, until the run is over.
    repository
        The git repository the run is of.
    """
    records = open_records(run, repository)
    if task not in {spec.id for spec in records.pinned.tasks}:
        known = ", ".join(spec.id for spec in records.pinned.tasks)
        raise UnknownRunError(f"run {records.pinned.name} has no task {task!r}; it has {known}")
    find = partial(latest_log, records, task)
    for line in _follow(find, records.is_running) if follow else _lines(find()):
        sys.stdout.write(plain_text(line, LINE_CHARACTERS) + "\n")
        sys.stdout.flush()
    return 0


def latest_log(records: Records, task: str) -> Path | None:
    """The log that was written to last, of the agents of a task; None when none was started yet."""
    attempts = (*records.folder.attempts(task), *records.folder.heals(task))
    logs = [folder / "agent.log" for folder in attempts if (folder / "agent.log").exists()]
    return max(logs, key=lambda path: path.stat().st_mtime, default=None)


def _lines(log: Path | None) -> Iterator[str]:
    if log is None:
        raise UnknownRunError("no agent was started for this task, so there is no log: see `graftline status` for why")
    with _opened(log) as file:
        for line in file:
            yield line.rstrip("\n")


def _follow(find: Callable[[], Path | None], is_running: Callable[[], bool]) -> Iterator[str]:
    """The lines of one agent after the other as they come; polled: nothing tells that another process's file grew."""
    log, running = find(), True
    while log is None and running:
        running = is_running()
        time.sleep(POLL_SECONDS if running else 0)
        log = find()
    if log is None:
        yield from _lines(None)
    while log is not None:
        successor, pending = log, ""
        with _opened(log) as file:
            while True:
                # Looked at before the file is read, so that what was written until then is in what is read.
                running, successor = is_running(), find() or log
                pending += file.read()
                *lines, pending = pending.split("\n")
                yield from lines
                if successor != log or not running:
                    break
                time.sleep(POLL_SECONDS)
        if pending:
            yield pending
        log = successor if successor != log else None


def _opened(log: Path) -> IO[str]:
    stderr_console().say(str(log))
    return log.open(encoding="utf-8", errors="replace")
