"""When a process that still runs no longer gets on: it shows no sign of progress and uses next to no processor time.

A long build or test run may print nothing for longer than any limit. It uses the processor, and that tells it from a
process that waits for something that never comes. Where there is no /proc (macOS), nobody knows, and the signs decide.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import anyio
import anyio.to_thread

LOOKS = 10
"""How often a process is looked at within a limit; it is ended up to one look later than the limit says."""
BUSY_SHARE = 0.05
"""Of one core, between two looks: an agent CLI that waits for its provider uses less, whatever computes uses more."""


@dataclass(frozen=True)
class StallLimit:
    """How long a process may go without a sign of one kind that it gets on.

    `look`, which is called in a thread, gives the same answer again when there was no such sign since. `lack` says in
    words that there was none.
    """

    seconds: float
    look: Callable[[], object]
    lack: str


async def until_stalled(limits: Collection[StallLimit], cpu_seconds: Callable[[], float | None]) -> str:
    """The words for the first of the limits that is reached; as long as the process gets on, this does not return.

    `cpu_seconds` is the processor time that the process has used so far, None where that is not known.
    """
    if not limits:
        await anyio.sleep_forever()
    waiting = [asyncio.create_task(_until_reached(limit, cpu_seconds)) for limit in limits]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for task in waiting:
            task.cancel()


async def _until_reached(limit: StallLimit, cpu_seconds: Callable[[], float | None]) -> str:
    sign, used = await anyio.to_thread.run_sync(_look, limit, cpu_seconds)
    looked = since = time.monotonic()
    while looked - since < limit.seconds:
        await asyncio.sleep(limit.seconds / LOOKS)
        sign_before, used_before, looked_before = sign, used, looked
        sign, used = await anyio.to_thread.run_sync(_look, limit, cpu_seconds)
        looked = time.monotonic()
        if sign != sign_before or is_busy(used_before, used, looked - looked_before):
            since = looked
    return f"{limit.lack} for {limit.seconds:g} s"


def _look(limit: StallLimit, cpu_seconds: Callable[[], float | None]) -> tuple[object, float | None]:
    return limit.look(), cpu_seconds()


def is_busy(before: float | None, now: float | None, seconds: float) -> bool:
    """Whether what used so much processor time before and now has been computing in the seconds between."""
    if before is None or now is None:
        return False
    # Less than before: a part of the family has ended, and what it had used is gone with it.
    return now - before >= BUSY_SHARE * seconds
