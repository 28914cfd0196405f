"""A run watches its own state on the Prefect server, and what becomes of the server.

For a run that a script started, nobody else acts on a cancellation.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import anyio
import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from graftline.errors import ServerUnavailableError
from graftline.journal import EventKind
from graftline.run import CANCELLED, Run

POLL_SECONDS = 2.0
SERVER_ERRORS = (httpx.HTTPError, ObjectNotFound)
"""What Prefect's client raises when no server answers, or when another one does, which does not know the run."""
ASK_SECONDS = 5.0
"""How long a run that ends waits for a server that does not answer."""

logger = logging.getLogger(__name__)


@asynccontextmanager
async def watching(run: Run) -> AsyncIterator[None]:
    """Cancel what runs inside the block when the flow run's state turns Cancelling; the block then ends quietly.

    `run.stop_reason` says so afterwards. Raises ServerUnavailableError when the server stays away for longer than
    Prefect's client asks again, about a minute, at a step that needs it. Agents at work do not.
    """
    with anyio.CancelScope() as scope:
        # Not a task group, which would wrap whatever error ends the block.
        watcher = asyncio.create_task(_watch(run, scope))
        try:
            yield
        except SERVER_ERRORS as error:
            raise ServerUnavailableError(server_lost(error)) from error
        finally:
            watcher.cancel()


def server_lost(error: Exception) -> str:
    """What one of `SERVER_ERRORS` means for a run, in a sentence for people."""
    what = str(error).partition("\n")[0] if isinstance(error, httpx.HTTPError) else "it does not know the run"
    reason = what or type(error).__name__
    return f"the Prefect server no longer answers as it should ({reason}); what is finished is kept"


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
            except SERVER_ERRORS as error:  # a server that restarts must not end the run; it is asked again
                logger.warning("the Prefect server did not say whether the run is cancelled: %s", error)
                continue
            if flow_run.state is not None and (flow_run.state.is_cancelling() or flow_run.state.is_cancelled()):
                run.stop_reason = CANCELLED
                run.journal.append(EventKind.WARNING, text="cancelled by request: agents are ended")
                scope.cancel()
                return
