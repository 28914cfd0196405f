"""A run is interrupted once: a signal waits until what it sets off is done, and a second one only takes the grace."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from graftline.interruption import interrupt_once, signals_held
from graftline.process import Command, Limits, run_process


class RaisedInLoopError(BaseException):
    """What a handler raises, wherever the event loop is, as Prefect's does."""


def raise_in_loop(_number: int, _frame: FrameType | None) -> None:
    raise RaisedInLoopError


@pytest.fixture(autouse=True)
def raising_handlers() -> Iterator[None]:
    before = {number: signal.signal(number, raise_in_loop) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_is_passed_on_when_the_work_has_cleaned_up_and_a_second_one_is_not_felt(
    number: signal.Signals,
) -> None:
    done = []

    async def work() -> None:
        signal.raise_signal(number)
        try:
            await asyncio.Event().wait()
        finally:
            signal.raise_signal(number)
            await asyncio.sleep(0)
            done.append("cleaned up")

    with pytest.raises(RaisedInLoopError):
        await interrupt_once(work())
    assert done == ["cleaned up"]
    assert signal.getsignal(number) is raise_in_loop


async def test_a_second_signal_takes_the_grace_from_what_ignores_the_first(tmp_path: Path) -> None:
    line = "trap '' TERM; echo deaf; while :; do sleep 1; done"
    lines: list[str] = []

    def on_line(said: str) -> None:
        lines.append(said)
        signal.raise_signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(0.1, signal.raise_signal, signal.SIGTERM)

    command = Command(("sh", "-c", line), cwd=tmp_path, env={"PATH": os.environ["PATH"]})
    limits = Limits(grace_seconds=200)
    with pytest.raises(RaisedInLoopError):
        await asyncio.wait_for(
            interrupt_once(run_process(command, log=tmp_path / "log", limits=limits, on_line=on_line)), timeout=60
        )
    assert lines == ["deaf"]


async def test_signals_are_held_although_somebody_handles_them_anew_within_the_work() -> None:
    async def work() -> str:
        signal.signal(signal.SIGTERM, raise_in_loop)
        with signals_held():
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.Event().wait()
        return "came to a result"

    assert await interrupt_once(work()) == "came to a result"


async def test_cancelled_twice_the_work_is_cancelled_once() -> None:
    begun = asyncio.Event()
    done: list[str] = []

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            running.cancel()
            await asyncio.sleep(0)
            done.append("cleaned up")

    running = asyncio.create_task(interrupt_once(work()))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert done == ["cleaned up"]


async def test_a_signal_that_is_ignored_stays_ignored_as_nohup_wants_it() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def work() -> str:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        return "came to a result"

    assert await interrupt_once(work()) == "came to a result"


async def test_what_the_work_raises_comes_through() -> None:
    async def fail() -> None:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        await interrupt_once(fail())
