"""A run's time limit, and what does not count against it."""

from math import inf

import anyio

from graftline.clock import Clock


async def test_a_block_is_ended_when_its_time_is_over() -> None:
    with Clock().limit(0.01) as scope:
        await anyio.sleep(60)
    assert scope.cancelled_caught


async def test_time_stands_still_while_somebody_waits_and_goes_on_after_the_last() -> None:
    clock = Clock()
    with clock.limit(50) as scope:
        end = scope.deadline
        with clock.stopped():
            assert scope.deadline == inf
            with clock.stopped():
                await anyio.sleep(0.05)
            assert scope.deadline == inf, "one still waits"
        assert end + 0.05 <= scope.deadline < end + 50
    assert not scope.cancelled_caught


async def test_waiting_outside_of_the_limit_is_no_error() -> None:
    with Clock().stopped():
        await anyio.lowlevel.checkpoint()
