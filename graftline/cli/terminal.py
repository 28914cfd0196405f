"""A person at the terminal: lines that are asked for while other things go on, and texts to edit."""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from graftline.errors import UserError

LINE_BYTES = 65_536


def is_somebody_there() -> bool:
    """Whether a person can be asked: stdin and stderr are a terminal, and it is not another program's now."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()  # else to read from it would stop this process


async def ask_line(prompt: str) -> str:
    """The line that is typed at a prompt, which can be cancelled.

    Raises:
        EOFError: nothing more will be typed.
    """
    sys.stderr.write(prompt)
    sys.stderr.flush()
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
    # A terminal gives a whole line, once there is one.
    typed = os.read(descriptor, LINE_BYTES)
    if not typed:
        raise EOFError
    return typed.decode(errors="replace").strip()


async def edit_text(text: str, *, suffix: str, environ: Mapping[str, str]) -> str:
    """The text as a person leaves it in the editor of their choice.

    Raises:
        UserError: there is no editor, or it failed.
    """
    command = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")
    if not command or shutil.which(command[0], path=environ.get("PATH")) is None:
        raise UserError(f"{' '.join(command)}: no such editor; set VISUAL or EDITOR")
    with tempfile.TemporaryDirectory(prefix="graftline-") as folder:  # for its owner only
        file = Path(folder, f"plan{suffix}")
        file.write_text(text, encoding="utf-8")
        with _interrupts_are_the_editors():
            status = await _run(*command, str(file))
        if status != 0:
            raise UserError(f"{command[0]} ended with {status}: nothing was taken over")
        return file.read_text(encoding="utf-8", errors="replace")


async def _run(*argv: str) -> int:
    """Let a program have the terminal; its exit status."""
    process = await asyncio.create_subprocess_exec(*argv)
    try:
        return await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        raise


@contextlib.contextmanager
def _interrupts_are_the_editors() -> Iterator[None]:
    """Leave Ctrl-C to the program that has the terminal. Not ignored, which a program would inherit."""
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
