"""Ends a command's asynchronous work on a signal the way Ctrl-C does: by cancelling it, so that it can clean up."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import TypeVar

Result = TypeVar("Result")

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""Those Python would die of on the spot, with agents and a server left behind: `kill`, and a closed terminal."""


def run_until_signal(work: Coroutine[None, None, Result]) -> Result:
    """Run it to its end; what it gives.

    Raises:
        KeyboardInterrupt: Ctrl-C ended it.
        SystemExit: SIGTERM or SIGHUP did; the code is 128 + the signal's number, as shells have it.
    """
    received: list[int] = []

    async def listen() -> Result:
        task = asyncio.current_task()

        def end(number: int) -> None:
            received.append(number)
            # Once only: while a Prefect flow runs, Prefect's own handler has ended everything by then, and a second
            # cancellation would break into the saving of unfinished work.
            if task is not None and not task.cancelling():
                task.cancel()

        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await work

    try:
        return asyncio.run(listen())
    except BaseException:
        if received:
            raise SystemExit(128 + received[0]) from None
        raise
