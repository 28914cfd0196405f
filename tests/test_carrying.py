"""What is carried through comes to its end, however often and in whatever way its waiter is cancelled."""

import asyncio

import anyio
import anyio.lowlevel
import pytest

from graftline.carrying import carry_through


async def work(steps: list[str], begun: asyncio.Event, go_on: asyncio.Event) -> str:
    begun.set()
    await go_on.wait()
    steps.append("kept")
    return "done"


async def test_cancelled_twice_the_work_is_done_and_the_cancellation_passed_on() -> None:
    steps, begun, go_on = list[str](), asyncio.Event(), asyncio.Event()
    waiter = asyncio.create_task(carry_through(work(steps, begun, go_on)))
    await begun.wait()
    for _ in range(2):
        waiter.cancel()
        await asyncio.sleep(0)
        assert not waiter.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert steps == ["kept"]


async def test_in_a_cancelled_scope_the_work_is_done() -> None:
    steps, begun, go_on = list[str](), asyncio.Event(), asyncio.Event()
    go_on.set()
    with anyio.CancelScope() as scope:
        scope.cancel()
        assert await carry_through(work(steps, begun, go_on)) == "done"
        await anyio.lowlevel.checkpoint()
        steps.append("never: the scope is cancelled")
    assert steps == ["kept"]


async def test_an_error_of_the_work_is_the_callers() -> None:
    async def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await carry_through(fail())
