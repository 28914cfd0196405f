"""`graftline resume`: go on with a run that did not come to its end, without paying for anything twice."""

import asyncio
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from graftline.changes import Today, find_changes, read_today
from graftline.cli.blocks import blocks_of_server
from graftline.cli.console import stderr_console
from graftline.cli.delivery import carry_out, deliver
from graftline.cli.launch import Launch
from graftline.cli.limits import read_limits
from graftline.cli.runs import locate_run, say_what_was_found_dead
from graftline.errors import ExitCode, UserError
from graftline.integration import finished_work
from graftline.lease import holder_of
from graftline.opening import change_cap, reopen_run, take_changes
from graftline.preflight import agents_of_blocks
from graftline.records import AttemptRecord
from graftline.recovery import is_suspended
from graftline.report.files import check_report_path, read_report
from graftline.report.model import is_resumable
from graftline.report.wording import account_cost, labelled, money
from graftline.request import RequestLimits
from graftline.run import Run, close_run
from graftline.server import configured_server
from graftline.store import RunFolder


def resume(
    run: str | None = None,
    /,
    *,
    yes: Annotated[bool, Parameter(negative=())] = False,
    max_cost: float | None = None,
    repository: Path = Path(),
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    report: Path | None = None,
    keep_server: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Go on with a run that failed, was stopped or was killed. What is finished is never paid for again.

    What is reused and which agents are called is said first. A run whose request is done is left as it is.

    Parameters
    ----------
    run
        A run's name or id, or the beginning of one; this repository's latest when left out.
    yes
        Take over what has changed in the plan file and in the settings since the run began.
    max_cost
        The run's new cap in US dollars, what it has spent included.
    repository
        The git repository the run is of.
    dry_run
        Say what would be reused and called, then stop.
    json
        Print the report as JSON on stdout, and nothing else there.
    report
        Also write the report to this file, as JSON or Markdown by its ending.
    keep_server
        Leave graftline's own Prefect server running afterwards.
    """
    if report is not None:
        check_report_path(report)
    limits = read_limits(max_cost_usd=max_cost)
    # To ask graftline's own server would be to use it before it is held.
    say_what_was_found_dead(tell_server=configured_server(os.environ) is not None)
    folder = locate_run(run, repository)
    check_not_suspended(folder)
    if folder.pinned.exists():
        before = read_report(folder)
        if before is not None and not is_resumable(before.state):
            stderr_console().say(f"Run {before.run} needs no going on: {before.reason}")
            deliver(before, as_json=json, file=report)
            return ExitCode.SUCCESS
        asyncio.run(_look(folder, limits, yes=yes, dry_run=dry_run))
    else:
        stderr_console().say(f"Run {folder.id} was ended before it had begun: nothing was spent, all of it is done now")
    if dry_run:
        return ExitCode.SUCCESS
    launch = Launch(run_id=folder.id)
    return carry_out(launch, as_json=json, report=report, keep_server=keep_server)


def check_not_suspended(folder: RunFolder) -> None:
    """Refuse to go on with a run that waits for a person: whoever starts its deployment's runs does, once it may.

    Raises:
        UserError: it does.
    """
    header = folder.header()
    if is_suspended(folder) and holder_of(folder.path) is None and header is not None:
        name = shlex.quote(header.name)
        raise UserError(
            f"run {name} is suspended until a person decides: `graftline approve {name}`, with --reject where it must "
            f"not go on; `graftline abort {name}` ends it"
        )


async def _look(folder: RunFolder, limits: RequestLimits, *, yes: bool, dry_run: bool) -> None:
    """Say what going on with the run comes to, and take over what changed when that is wanted."""
    run = await reopen_run(folder, os.environ)
    try:
        if limits.max_cost_usd is not None:
            change_cap(run, limits.max_cost_usd, keep=not dry_run)
        names = agents_of_blocks(run.pinned.request, run.repository, os.environ, plan=run.pinned.plan)
        today = read_today(run.pinned, run.repository, os.environ, blocks=await blocks_of_server(names))
        changes = list(describe_changes(run, today, yes=yes))
        if yes and not dry_run:
            take_changes(run, today)
        finished = await finished_work(run) if run.settled is not None else {}
        lines = [labelled("Resume", f"{run.pinned.name} ({run.id})"), *describe_work(run, finished), *changes]
        stderr_console().say("\n".join(lines))
    finally:
        close_run(run)


def describe_work(run: Run, finished: dict[str, AttemptRecord]) -> Iterator[str]:
    """What of the run is done and what is left, and what it has cost so far."""
    if run.settled is None:
        yield labelled("Plan", "not settled yet; what the planner has answered is not paid for again")
    else:
        left = [task for task in run.graph.order if task not in finished]
        reused = [task for task in run.graph.order if task in finished]
        yield labelled("Reused", f"{', '.join(reused) or 'nothing'}: no agent is called for what is finished")
        yield labelled("Called", ", ".join(left) or "no agent of a task, healing apart")
    spent = account_cost(run.ledger.account(run.id))
    yield labelled("Spent", f"{spent}, of a cap of {money(run.settings.cost.max_usd)}")
    yield labelled("Tests", "run again, unless they were green on the same tree")


def describe_changes(run: Run, today: Today, *, yes: bool) -> Iterator[str]:
    """What has changed since the run began, and what becomes of it."""
    what = "taken over" if yes else "not taken over (--yes would)"
    yield from (labelled("Changed", f"{change}; {what}") for change in find_changes(run.pinned, today))
