"""Runs a request from a terminal: on the configured Prefect server, or on graftline's own local one."""

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from graftline.approvals import attended
from graftline.cli.approval_prompt import ApprovalPrompt
from graftline.cli.board import Board
from graftline.cli.boundary import nobody_listens
from graftline.cli.signals import run_until_signal
from graftline.cli.terminal import is_somebody_there
from graftline.errors import ServerUnavailableError, UnknownRunError
from graftline.git.hub import open_hub
from graftline.git.repository import Repository
from graftline.journal import Entry, EventKind, listening
from graftline.planning.preview import Preview
from graftline.report.files import read_report
from graftline.report.model import Report
from graftline.report.preview_text import preview_lines
from graftline.request import BuildRequest
from graftline.server import Server, client_environment, configured_server, local_server
from graftline.store import find_place, repository_store, state_directory

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun


@dataclass
class Launch:
    """A run on its way through the `build` flow; afterwards, what there is to report of it.

    A new one is made of `request`, and its id is known once it has begun; the hub of its `repository` is made ready
    while the server starts. Without a request, the run with `run_id` is entered again.
    """

    request: BuildRequest | None = None
    repository: Repository | None = None
    run_id: str = ""

    def carry_out(self, board: Board, *, keep_server: bool) -> None:
        """Run it to its end, whatever that is: `report` says what came of it.

        The process must not have imported Prefect before, unless its server is configured: Prefect reads the server's
        address when it is imported. Ctrl-C, SIGTERM and SIGHUP cancel the run: agents are ended, their work is
        salvaged, nothing lands, the report is written.

        Raises:
            GraftlineError: the run could not start, or could not go on.
            KeyboardInterrupt: Ctrl-C ended the run.
            SystemExit: another signal did.
        """
        run_until_signal(self._carry_out(board, keep_server=keep_server))

    def report(self) -> Report | None:
        """The report of the run; None when it did not come to one."""
        folder = find_place(state_directory(os.environ), self.run_id) if self.run_id else None
        return read_report(folder) if folder else None

    async def _carry_out(self, board: Board, *, keep_server: bool) -> None:
        state_dir = state_directory(os.environ)
        hub = asyncio.create_task(self._prepare_hub(state_dir))
        try:
            async with _server(state_dir, board, keep_server=keep_server) as server:
                await hub
                os.environ.update(client_environment(server))
                await self._build(server, board)
        finally:
            hub.cancel()
            await asyncio.gather(hub, return_exceptions=True)

    async def _prepare_hub(self, state_dir: Path) -> None:
        if self.repository is not None:
            store = repository_store(state_dir, str(self.repository.common_dir))
            await open_hub(self.repository, store.folder)

    async def _build(self, server: Server, board: Board) -> None:
        with _importing():  # now that the server's address is known
            from prefect.exceptions import CancelledRun, FailedRun  # noqa: PLC0415
            from prefect.flow_engine import run_flow_async  # noqa: PLC0415

            from graftline.flows.build import build  # noqa: PLC0415  imports Prefect
            from graftline.tasks.report import flush_logs  # noqa: PLC0415  imports Prefect
            from graftline.tasks.watch import SERVER_ERRORS, server_lost  # noqa: PLC0415  imports Prefect

        # Prefect's own lines about logs it cannot send would go to stderr, into the table of tasks.
        logging.raiseExceptions = False
        flow_run = await self._flow_run(server)

        prompt = ApprovalPrompt(board, copy_context()) if is_somebody_there() else None

        def watch(entry: Entry) -> None:
            if entry.event is EventKind.RUN_PREPARED:
                self.run_id = str(entry.data["run"])
                board.say(f"Prefect UI: {server.ui_url}/runs/flow-run/{self.run_id}")
            board.show(entry)
            if entry.event is EventKind.PLAN_PROPOSED and entry.data["by"] == "planner":
                board.say("\n".join(preview_lines(Preview.model_validate(entry.data["preview"]))))
            if prompt is not None:
                prompt.show(entry)

        try:
            with (
                attended(),
                listening(watch),
                contextlib.suppress(FailedRun, CancelledRun),
            ):  # the report says it better
                if self.request is not None:
                    await build(self.request)
                elif flow_run is not None:
                    await run_flow_async(build, flow_run, parameters=build.validate_parameters(flow_run.parameters))
        except SERVER_ERRORS as error:
            nobody_listens.set()
            raise ServerUnavailableError(server_lost(error)) from error
        finally:
            if prompt is not None:
                await prompt.close()
            if not nobody_listens.is_set():
                with anyio.CancelScope(shield=True):
                    await flush_logs()

    async def _flow_run(self, server: Server) -> "FlowRun | None":
        """The flow run to enter again; None when there is none yet.

        Raises:
            ServerUnavailableError: no server answers.
            UnknownRunError: the server that answers does not know it.
        """
        from prefect.client.orchestration import get_client  # noqa: PLC0415  now that the server's address is known
        from prefect.exceptions import ObjectNotFound  # noqa: PLC0415

        from graftline.tasks.flow_runs import make_ready  # noqa: PLC0415  imports Prefect

        async with get_client() as client:
            await check_answers(client, server)
            if not self.run_id:
                return None
            try:
                return await make_ready(client, self.run_id)
            except ObjectNotFound as error:
                raise UnknownRunError(
                    f"the Prefect server at {server.api_url} does not know run {self.run_id}: name the one it was "
                    "started on with PREFECT_API_URL (with none, it was graftline's own)"
                ) from error


async def check_answers(client: "PrefectClient", server: Server) -> None:
    """Make sure that somebody is at a server's address.

    Raises:
        ServerUnavailableError: no server answers.
    """
    problem = await client.api_healthcheck()
    if problem is not None:
        raise ServerUnavailableError(
            f"no Prefect server answers at {server.api_url} ({problem}): start it, or correct PREFECT_API_URL "
            "or the active Prefect profile; with neither, graftline starts a server of its own"
        )


@contextmanager
def _importing() -> Iterator[None]:
    """Keep the garbage collector away from what is imported, which lives as long as the process.

    To go through Prefect's modules while they come, and all of them again at exit, takes it a quarter of the time of
    their import: 0.5 of 2.0 s of CPU.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@asynccontextmanager
async def _server(state_dir: Path, board: Board, *, keep_server: bool) -> AsyncIterator[Server]:
    """The server that is configured, else the local one for as long as somebody uses it."""
    configured = configured_server(os.environ)
    if configured is not None:
        yield configured
        return
    async with local_server(state_dir, keep=keep_server, say=board.say) as server:
        yield server
