"""A run watches its own state: for a run that a script started, nobody else acts on a cancellation."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import anyio
import httpx
from prefect.client.orchestration import get_client

from graftline.journal import EventKind
from graftline.run import CANCELLED, Run

POLL_SECONDS = 2.0
ASK_SECONDS = 2.0
"""How long a run that ends waits for a server that does not answer."""

logger = logging.getLogger(__name__)


@asynccontextmanager
async def watching(run: Run) -> AsyncIterator[None]:
    """Cancel what runs inside the block when the flow run's state turns Cancelling; the block then ends quietly.

    `run.stop_reason` says so afterwards.
    """
    with anyio.CancelScope() as scope:
        # Not a task group, which would wrap whatever error ends the block.
        watcher = asyncio.create_task(_watch(run, scope))
        try:
            yield
        finally:
            watcher.cancel()


async def is_cancelled(run: Run) -> bool:
    """Whether a run that is interrupted was cancelled on the server; `run.stop_reason` says so afterwards.

    Who carries out a deployment ends a cancelled run by a signal, often before the run has seen its state.
    """
    with anyio.move_on_after(ASK_SECONDS):
        try:
            async with get_client() as client:
                state = (await client.read_flow_run(UUID(run.id))).state
        except httpx.HTTPError as error:
            logger.warning("the Prefect server did not say whether the run is cancelled: %s", error)
        else:
            if state is not None and (state.is_cancelling() or state.is_cancelled()):
                run.stop_reason = CANCELLED
    return run.stop_reason == CANCELLED


async def _watch(run: Run, scope: anyio.CancelScope) -> None:
    """Poll the state: the server offers no long poll."""
    async with get_client() as client:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                flow_run = await client.read_flow_run(UUID(run.id))
            except httpx.HTTPError as error:  # a server that restarts must not end the run; it is asked again
                logger.warning("the Prefect server did not say whether the run is cancelled: %s", error)
                continue
            if flow_run.state is not None and flow_run.state.is_cancelling():
                run.stop_reason = CANCELLED
                run.journal.append(EventKind.WARNING, text="cancelled by request: agents are ended")
                scope.cancel()
                return
