"""Slots by rank: the best waits least, nobody gets one too many, and none is lost with whoever was cancelled."""

import asyncio

from graftline.turns import Turns


async def take(turns: Turns, rank: int, log: list[int], release: asyncio.Event | None = None) -> None:
    async with turns.hold(rank):
        log.append(rank)
        if release is not None:
            await release.wait()


async def test_the_lowest_rank_is_next_whatever_the_order_of_asking() -> None:
    turns, log, release = Turns(1), list[int](), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for rank in (5, 3, 9, 1, 3):
            group.create_task(take(turns, rank, log, release if rank == 5 else None))
            await asyncio.sleep(0)
        assert log == [5], "the only slot is taken"
        release.set()
    assert log == [5, 1, 3, 3, 9]


async def test_a_slot_given_to_a_cancelled_task_goes_to_the_next() -> None:
    turns, log, release = Turns(1), list[int](), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(take(turns, 0, log, release))
        await asyncio.sleep(0)
        waiting = group.create_task(take(turns, 1, log))
        given_up = group.create_task(take(turns, 2, log))
        group.create_task(take(turns, 3, log))
        await asyncio.sleep(0)
        given_up.cancel()  # while it waits
        release.set()
        await asyncio.sleep(0)
        waiting.cancel()  # with the slot already given, and the task not yet awake
    assert log == [0, 3]
    async with asyncio.timeout(1), turns.hold(0):
        pass
