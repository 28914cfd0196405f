"""Runs a request from a terminal: on the configured Prefect server, or on graftline's own local one."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from graftline.errors import ExitCode
from graftline.git.hub import open_hub
from graftline.journal import Entry, EventKind, listening
from graftline.preflight import Checked
from graftline.report.files import read_report
from graftline.report.model import Report, exit_code
from graftline.request import BuildRequest
from graftline.server import Server, client_environment, configured_server, local_server
from graftline.store import RepositoryStore, repository_store, state_directory

Say = Callable[[str], None]
Show = Callable[[Entry], None]


@dataclass(frozen=True)
class Launched:
    """How a launched run ended; the report is None when it never started."""

    report: Report | None
    code: int


def launch(request: BuildRequest, checked: Checked, *, keep_server: bool, say: Say, show: Show) -> Launched:
    """Run a checked request through the `build` flow; `say` gets what is being waited for, `show` what happens.

    SIGINT and SIGTERM cancel the run: agents are ended, their work is salvaged, nothing lands, the report is written.
    """
    state_dir = state_directory(os.environ)
    store = repository_store(state_dir, str(checked.repository.common_dir))
    started: list[str] = []

    def watch(entry: Entry) -> None:
        if entry.event is EventKind.RUN_PREPARED:
            started.append(str(entry.data["run"]))
        show(entry)

    code = None
    try:
        with listening(watch):
            asyncio.run(_launch(request, checked, state_dir, store, started, keep_server=keep_server, say=say))
    except KeyboardInterrupt:
        code = ExitCode.SIGINT
    except BaseException as error:
        # Prefect turns SIGTERM into this exception of its own; naming its class here would import Prefect.
        if type(error).__name__ != "TerminationSignal":
            raise
        code = ExitCode.SIGTERM
    report = read_report(store.run(started[0])) if started else None
    if code is None:
        code = ExitCode.DEFECT if report is None else exit_code(report)
    return Launched(report, code)


async def _launch(
    request: BuildRequest,
    checked: Checked,
    state_dir: Path,
    store: RepositoryStore,
    started: list[str],
    *,
    keep_server: bool,
    say: Say,
) -> None:
    hub = asyncio.create_task(open_hub(checked.repository, store.folder))
    async with _server(state_dir, keep_server, say) as server:
        await hub
        os.environ.update(client_environment(server))
        say(f"Prefect UI: {server.ui_url}")
        # Prefect reads its settings when it is imported, so it is imported once the server's address is known.
        from graftline.flows.build import build  # noqa: PLC0415
        from graftline.tasks.report import flush_logs  # noqa: PLC0415

        try:
            # A run that failed is an outcome, which its report tells; what kept one from starting is an error.
            state: Any = await build(request, return_state=True)
            if not started:
                await state.aresult()
        finally:
            with anyio.CancelScope(shield=True):
                await flush_logs()


@asynccontextmanager
async def _server(state_dir: Path, keep_server: bool, say: Say) -> AsyncIterator[Server]:
    """The server that is configured, else the local one for as long as somebody uses it."""
    configured = configured_server(os.environ)
    if configured is not None:
        yield configured
        return
    async with local_server(state_dir, keep=keep_server, say=say) as server:
        yield server
