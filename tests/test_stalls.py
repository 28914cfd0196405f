"""When a process counts as stalled: by the signs it shows, and by what it computes."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain, count, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.stalls import BUSY_SHARE, LOOKS, StallLimit, is_busy, until_stalled

SECONDS = 0.2


def looking(signs: Iterator[object], looks: list[object]) -> Callable[[], object]:
    """Show one sign after the other, and keep what was shown."""

    def look() -> object:
        looks.append(next(signs))
        return looks[-1]

    return look


async def test_process_without_a_new_sign_stalls_once_it_was_looked_at_often_enough() -> None:
    looks: list[object] = []
    signs = chain(range(5), repeat("the same"))
    said = await until_stalled([StallLimit(SECONDS, looking(signs, looks), "nothing new")], lambda: None)
    assert said == "nothing new for 0.2 s"
    assert looks[:6] == [0, 1, 2, 3, 4, "the same"]


async def test_first_limit_that_is_reached_decides() -> None:
    lively = StallLimit(SECONDS, looking(count(), []), "never")
    patient = StallLimit(60, looking(repeat(1), []), "too late")
    said = await until_stalled([lively, patient, StallLimit(SECONDS, looking(repeat(1), []), "this")], lambda: None)
    assert said == "this for 0.2 s"


async def test_process_that_computes_has_not_stalled_whatever_it_shows() -> None:
    looks: list[object] = []
    used = chain((float(look) for look in range(2 * LOOKS)), repeat(1000.0))
    await until_stalled([StallLimit(SECONDS, looking(repeat(1), looks), "nothing")], lambda: next(used))
    assert len(looks) > 2 * LOOKS


@pytest.mark.parametrize("limits", [[], [StallLimit(60, looking(repeat(1), []), "never")]])
async def test_nothing_is_said_before_a_limit_is_reached(limits: list[StallLimit]) -> None:
    waiting = asyncio.create_task(until_stalled(limits, lambda: None))
    await asyncio.wait({waiting}, timeout=0.05)
    assert not waiting.done()
    waiting.cancel()


@given(before=st.floats(min_value=0, max_value=1e6), seconds=st.floats(min_value=0.01, max_value=1000))
def test_busy_is_who_used_a_share_of_a_core_since_the_last_look(before: float, seconds: float) -> None:
    assert is_busy(before, before + 2 * BUSY_SHARE * seconds, seconds)
    assert not is_busy(before, before + BUSY_SHARE * seconds / 2, seconds)
    assert not is_busy(before, before, seconds)
    assert not is_busy(before + 1, before, seconds)
    assert not is_busy(None, before, seconds)
    assert not is_busy(before, None, seconds)
