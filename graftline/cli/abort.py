"""`graftline abort`: stop a run that goes on in another process, as Cancel in Prefect's UI does."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import anyio

from graftline.cli.console import stderr_console
from graftline.cli.prefect_client import prefect_client
from graftline.cli.runs import locate_run, say_what_was_found_dead
from graftline.errors import ExitCode, RepositoryError, ServerUnavailableError
from graftline.git.repository import open_repository
from graftline.lease import Holder, holder_of
from graftline.recovery import is_suspended
from graftline.report.files import read_report
from graftline.store import RunFolder, find_runs, repository_place, state_place

PATIENCE_SECONDS = 30.0
"""Longer than a run takes to notice (2 s), to end its agents (5 s of grace) and to keep their work."""
POLL_SECONDS = 0.2


def abort(run: str | None = None, /, *, repository: Path = Path()) -> int:
    """Stop a run: its agents are ended, their work is kept, nothing lands. `graftline resume` goes on with it.

    Parameters
    ----------
    run
        A run's name or id, or the beginning of one; the latest of this repository that goes on when left out.
    repository
        The git repository the run is of.
    """
    say_what_was_found_dead(tell_server=True)
    folder = _latest_running(repository) if run is None else None
    folder = folder or locate_run(run, repository)
    holder = holder_of(folder.path)
    say = stderr_console().say
    if holder is None and is_suspended(folder):
        asyncio.run(_end_suspended(folder))
    if holder is None:
        report = read_report(folder)
        say(f"Run {_name(folder)} does not go on" + (f": {report.state}: {report.reason}" if report else ""))
        return ExitCode.SUCCESS
    if not asyncio.run(_end(folder, holder)):
        say(
            f"Run {_name(folder)} still goes on in {holder}. End that process (kill -9 {holder.pid} if it must be): "
            "the next graftline command ends its agents and keeps their work."
        )
        return ExitCode.WORK_FAILED
    report = read_report(folder)
    say(f"Run {_name(folder)} has ended" + (f": {report.state}: {report.reason}" if report else ""))
    return ExitCode.SUCCESS


async def _end(folder: RunFolder, holder: Holder) -> bool:
    """Ask the run to cancel itself and, where that does not reach it, its process to end; whether it has ended."""
    say = stderr_console().say
    if await _ask_server(folder):
        say(f"Asked run {_name(folder)} to cancel itself; waiting for its agents to be ended and their work to be kept")
        if await _is_over(folder, holder):
            return True
    process = holder.process
    if process is not None:
        say(f"Telling process {process.pid} to end")
        os.kill(process.pid, signal.SIGTERM)
    return await _is_over(folder, holder)


async def _ask_server(folder: RunFolder) -> bool:
    """Have the flow run cancelled; False when no server is up, or none that knows it."""
    with contextlib.suppress(ServerUnavailableError):
        async with prefect_client() as client:
            from graftline.tasks.flow_runs import request_cancellation  # noqa: PLC0415  imports Prefect

            return await request_cancellation(client, folder)
    return False


async def _end_suspended(folder: RunFolder) -> None:
    """Cancel a run that waits for a person without a process.

    Raises:
        ServerUnavailableError: its server cannot be told, where somebody may still approve it.
    """
    async with prefect_client() as client:
        from graftline.tasks.flow_runs import cancel_suspended  # noqa: PLC0415  imports Prefect

        await cancel_suspended(client, folder, os.environ)


async def _is_over(folder: RunFolder, holder: Holder) -> bool:
    with anyio.move_on_after(PATIENCE_SECONDS):
        while holder_of(folder.path) == holder:  # noqa: ASYNC110  the holder is another process
            await anyio.sleep(POLL_SECONDS)
    return holder_of(folder.path) != holder


def _latest_running(repository: Path) -> RunFolder | None:
    try:
        common_dir = open_repository(repository).common_dir
    except RepositoryError:
        return None
    runs = find_runs(repository_place(state_place(os.environ), str(common_dir)))
    return next((folder for folder in runs if holder_of(folder.path) is not None or is_suspended(folder)), None)


def _name(folder: RunFolder) -> str:
    header = folder.header()
    return header.name if header else folder.id
