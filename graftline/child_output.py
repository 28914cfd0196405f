"""What a child process prints: streamed to a log file, with its end and its lines for whoever wants them."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

CHUNK_BYTES = 64 * 1024
TAIL_BYTES = 16 * 1024
# A line is handed on whole up to this length and cut beyond it, so that a child cannot fill our memory.
LINE_BYTES = 16 * 1024 * 1024


class ChildOutput:
    """One output stream of a child: `child_side` is for the child, the rest is ours.

    A context manager: leaving it stops the reading and closes everything, whatever still holds the other side.
    """

    def __init__(self, log: Path, on_line: Callable[[str], None] | None) -> None:
        self.last_heard = time.monotonic()
        self.reading: asyncio.Task[None] | None = None
        self._on_line = on_line
        self._tail = bytearray()
        self._line = bytearray()
        self._reader = asyncio.StreamReader(limit=CHUNK_BYTES)
        self._transport: asyncio.BaseTransport | None = None
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never through a link: the folder may be within an agent's reach.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._log = os.fdopen(os.open(log, flags, 0o600), "wb")
        os.fchmod(self._log.fileno(), 0o600)
        read_end, write_end = os.pipe()
        self._pipe = os.fdopen(read_end, "rb", buffering=0)
        self.child_side = os.fdopen(write_end, "wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.reading is not None:
            self.reading.cancel()
            if self.reading.done() and not self.reading.cancelled():
                self.reading.exception()  # asked for, so that asyncio does not log what a caller was told already
        if self._transport is not None:
            self._transport.close()
        else:
            self._pipe.close()
        self.child_side.close()
        self._log.close()

    @property
    def tail(self) -> str:
        """The end of the output."""
        return self._tail.decode(errors="replace")

    async def connect(self) -> None:
        """Make our side of the pipe ready; what comes before `start_reading` waits in it."""
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), self._pipe
        )

    def start_reading(self) -> asyncio.Task[None]:
        """Read in a task of its own until the output ends."""
        self.reading = asyncio.create_task(self._read())
        return self.reading

    def conclude(self) -> None:
        """Raise what made reading fail, then hand on a last line that has no end."""
        if self.reading is not None and self.reading.done():
            self.reading.result()
        if self._line:
            self._hand_on_line()

    async def _read(self) -> None:
        while chunk := await self._reader.read(CHUNK_BYTES):
            self.last_heard = time.monotonic()
            self._log.write(chunk)
            self._log.flush()
            self._tail += chunk
            del self._tail[:-TAIL_BYTES]
            if self._on_line is not None:
                self._split(chunk)

    def _split(self, chunk: bytes) -> None:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._extend_line(part)
            self._hand_on_line()
        self._extend_line(rest)

    def _extend_line(self, part: bytes) -> None:
        self._line += part[: LINE_BYTES - len(self._line)]

    def _hand_on_line(self) -> None:
        line = self._line.decode(errors="replace").removesuffix("\r")
        self._line = bytearray()
        if self._on_line is not None:
            self._on_line(line)
