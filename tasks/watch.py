"""A run watches its own state: for a run that a script started, nobody else acts on a cancellation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import anyio
from prefect.client.orchestration import get_client

from graftline.journal import EventKind
from graftline.run import CANCELLED, Run

POLL_SECONDS = 2.0


@asynccontextmanager
async def watching(run: Run) -> AsyncIterator[None]:
    """Cancel what runs inside the block when the flow run's state turns Cancelling; the block then ends quietly.

    `run.stop_reason` says so afterwards.
    """
    async with anyio.create_task_group() as group:
        group.start_soon(_watch, run, group.cancel_scope)
        yield
        group.cancel_scope.cancel()


async def _watch(run: Run, scope: anyio.CancelScope) -> None:
    """Poll the state: the server offers no long poll, and a missed answer is asked for again."""
    async with get_client() as client:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            flow_run = await client.read_flow_run(UUID(run.id))
            if flow_run.state is not None and flow_run.state.is_cancelling():
                run.stop_reason = CANCELLED
                run.journal.append(EventKind.WARNING, text="cancelled by request: agents are ended")
                scope.cancel()
                return
