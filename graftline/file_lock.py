"""A lock between processes that the kernel lets go when its holder dies, however it dies."""

import errno
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

POLL_SECONDS = 0.1


class FileLock:
    """A `flock` on a file that is made when missing and never written or removed.

    Many may hold it shared, or one exclusively. Every instance has a descriptor of its own, so two instances in one
    process exclude each other like two processes; children do not inherit it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this instance holds the lock."""
        return self._descriptor is not None

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Take the lock when that is possible at once."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                return False
            raise
        self._descriptor = descriptor
        return True

    async def acquire(self, *, shared: bool = False, on_wait: Callable[[], None] | None = None) -> None:
        """Take the lock, however long it takes; `on_wait` is called once when somebody else has it.

        Polls, since a thread that sits in a blocking `flock` cannot be cancelled.
        """
        if self.try_acquire(shared=shared):
            return
        if on_wait is not None:
            on_wait()
        while not self.try_acquire(shared=shared):  # noqa: ASYNC110 - the holder is another process
            await anyio.sleep(POLL_SECONDS)

    def release(self) -> None:
        """Let go of the lock; does nothing when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@asynccontextmanager
async def exclusive_lock(path: Path) -> AsyncIterator[None]:
    """Hold a lock file alone for as long as the block runs."""
    lock = FileLock(path)
    await lock.acquire()
    try:
        yield
    finally:
        lock.release()
