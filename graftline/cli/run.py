"""`graftline run`: a plan file becomes a landed commit."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from graftline.cli.blocks import blocks_of_server
from graftline.cli.console import stderr_console
from graftline.cli.delivery import carry_out
from graftline.cli.launch import Launch
from graftline.cli.limits import read_limits
from graftline.cli.overview import describe_run, preview_run
from graftline.cli.runs import say_what_was_found_dead
from graftline.cli.words import read_words
from graftline.errors import ExitCode, UserError
from graftline.planning.preview import Preview
from graftline.preflight import Checked, check_request
from graftline.report.files import check_report_path
from graftline.request import BuildRequest


def run(
    file: Path | None = None,
    /,
    *,
    prompt: Annotated[str, Parameter(name=["--prompt", "-p"])] = "",
    prompt_file: Annotated[Path | None, Parameter(name=["--prompt-file", "-f"])] = None,
    approve: bool | None = None,
    repository: Path = Path(),
    agents: int | None = None,
    backend: str = "",
    timeout: float | None = None,
    task_timeout: float | None = None,
    max_cost: float | None = None,
    target: str = "",
    land: Literal["auto", "branch"] | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    report: Path | None = None,
    keep_server: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Build a request or run a plan: agents in parallel worktrees, merge, tests, heal, landing.

    Exit codes: 0 success, 1 work failed or waits on a branch, 2 bad input, 3 something is missing on this machine,
    130 Ctrl-C, 143 SIGTERM.

    Parameters
    ----------
    file
        The plan: .md, .yaml or .json.
    prompt
        What to build, in your own words: the planner makes a plan of it.
    prompt_file
        A file that says so.
    approve
        Wait for a person to approve the plan before an agent starts; --no-approve does not.
    repository
        The git repository to work on.
    agents
        Agents at a time.
    backend
        Agent profile or backend type, for tasks that name none.
    timeout
        Wall clock of the run, in seconds.
    task_timeout
        Wall clock of one attempt, in seconds.
    max_cost
        Cap of the run in US dollars.
    target
        Branch to land on; the one checked out when left out.
    land
        auto moves the target branch, branch leaves the result on a branch of its own.
    dry_run
        Check everything and show what would run, then stop.
    json
        Print the report as JSON on stdout, and nothing else there.
    report
        Also write the report to this file, as JSON or Markdown by its ending.
    keep_server
        Leave graftline's own Prefect server running afterwards.
    """
    words = read_words(prompt, prompt_file)
    if bool(words) == (file is not None):
        raise UserError('give a plan file or say what to build: graftline run FILE, or graftline run -p "…"')
    if report is not None:
        check_report_path(report)
    request = BuildRequest(
        repository=str(repository.resolve()),
        prompt=words,
        plan_file="" if file is None else str(file.resolve()),
        approve=approve,
        target=target,
        agent=backend,
        land=land,
        limits=read_limits(
            max_concurrent=agents,
            max_cost_usd=max_cost,
            task_timeout_seconds=task_timeout,
            run_timeout_seconds=timeout,
        ),
    )
    return run_request(request, dry_run=dry_run, as_json=json, report=report, keep_server=keep_server)


def run_request(
    request: BuildRequest,
    *,
    dry_run: bool = False,
    as_json: bool = False,
    report: Path | None = None,
    keep_server: bool = False,
) -> int:
    """Check a request, say what it comes to, run it and deliver the report; the process's exit code."""
    checked, preview = asyncio.run(_check(request))
    stderr_console().say("\n".join(describe_run(checked, preview)))
    if dry_run:
        return ExitCode.SUCCESS
    say_what_was_found_dead(tell_server=False)
    launch = Launch(request, checked.repository)
    return carry_out(launch, as_json=as_json, report=report, keep_server=keep_server)


async def _check(request: BuildRequest) -> tuple[Checked, Preview | None]:
    checked = await check_request(request, os.environ, load_blocks=blocks_of_server)
    return checked, await preview_run(checked, os.environ)
