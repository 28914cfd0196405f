"""Work that is carried through to its end although whoever waits for it is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

Result = TypeVar("Result")


async def carry_through(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which no cancellation reaches; one that came meanwhile is passed on once it is done.

    A shield of anyio keeps anyio's own scopes away, but not `Task.cancel()`, which signals, task groups and Prefect
    use, and more than once.
    """
    doing = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not doing.done():
            try:
                await asyncio.wait({doing})
            except asyncio.CancelledError as error:
                cancelled = error
    result = doing.result()
    if cancelled is not None:
        raise cancelled
    return result
