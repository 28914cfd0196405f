"""The time a run may take, which does not go on while a task waits for somebody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

import anyio


class Clock:
    """A time limit on a block that stands still while anybody is in `stopped`."""

    def __init__(self) -> None:
        self._left = inf
        self._scope: anyio.CancelScope | None = None
        self._stops = 0

    @contextmanager
    def limit(self, seconds: float) -> Iterator[anyio.CancelScope]:
        """Cancel the block when its time is over; `cancelled_caught` of the scope then says so."""
        with anyio.move_on_after(seconds) as self._scope:
            yield self._scope

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the block take its time: it waits for a provider or a person."""
        scope = self._scope
        if scope is None:
            yield
            return
        if not self._stops:
            self._left, scope.deadline = scope.deadline - anyio.current_time(), inf
        self._stops += 1
        try:
            yield
        finally:
            self._stops -= 1
            if not self._stops:
                scope.deadline = anyio.current_time() + self._left
