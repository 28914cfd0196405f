"""The interruption of a run: it happens once, and nothing breaks into what it sets off.

Prefect's handler of SIGTERM, which each flow installs anew, raises in the middle of the event loop, and so does
asyncio's own of Ctrl-C from the second time on. The loop is then left and all of its tasks are cancelled, those
included that end agents and keep their work; once more, and it is left for good, with agents running.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar

from graftline.carrying import carry_through
from graftline.process import no_grace

Result = TypeVar("Result")
Handler = Callable[[int, FrameType | None], None]
SIGNALS = (signal.SIGINT, signal.SIGTERM)

_hold: ContextVar[Handler | None] = ContextVar("_hold", default=None)
"""What hears the signals while the work of this context goes on."""


async def interrupt_once(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, in a task of its own, which the first cancellation or signal cancels, and no later one.

    A second signal takes the grace from processes that are being ended. The first one is passed on to whoever handled
    it before when the work has ended, unless it came to a result.
    """
    loop = asyncio.get_running_loop()
    held: list[int] = []
    interrupted, hurry = asyncio.Event(), asyncio.Event()

    def interrupt() -> None:
        if not interrupted.is_set():
            interrupted.set()
            doing.cancel()

    def hold(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(hurry.set if held else interrupt)
        held.append(number)

    token, grace_token = _hold.set(hold), no_grace.set(hurry)
    try:
        with signals_held():
            doing = asyncio.create_task(work)
            try:
                await asyncio.wait({doing})
            except asyncio.CancelledError:
                interrupt()
                with contextlib.suppress(asyncio.CancelledError):
                    await carry_through(_end_of(doing))
    finally:
        _hold.reset(token)
        no_grace.reset(grace_token)
    if held and doing.cancelled():
        signal.raise_signal(held[0])
        await asyncio.sleep(0)  # asyncio's own handler cancels us, and that is felt here
    return doing.result()


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Hold signals back, also in a flow within the work, for which Prefect has put its own handler there again."""
    hold = _hold.get()
    before = {}
    if hold is not None and threading.current_thread() is threading.main_thread():  # no other may handle signals
        # What is ignored stays so, as under nohup.
        wanted = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, hold) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _end_of(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})
