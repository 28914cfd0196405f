"""The only place that starts a child process (short git calls apart), and the only one that ends it.

A child gets its own session and process group, an environment that is given whole, and a stdin that is a file at its
end: never an open pipe, which some programs read for ever. Its output is streamed to log files. However it ends, by
itself, at a limit or because the caller was cancelled, its whole group is ended and the child is reaped.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import anyio

from graftline.carrying import carry_through
from graftline.child_output import ChildOutput
from graftline.errors import CannotRunError
from graftline.process_family import family_cpu_seconds, signal_family
from graftline.stalls import StallLimit, until_stalled

# Time that output already on its way gets once the child is gone: whoever still holds the pipe then is a grandchild.
DRAIN_SECONDS = 0.5
# A killed process that waits for a dead disk is never gone; nobody waits for it longer than this.
KILL_SECONDS = 5.0
# What left the group gets at least this, also when the group has used up the grace.
FAMILY_GRACE_SECONDS = 1.0
POLL_SECONDS = 0.02

no_grace: ContextVar[asyncio.Event | None] = ContextVar("no_grace", default=None)
"""Takes the grace away, once it is set, from every process that is being ended in its context."""


class Ending(StrEnum):
    """Why a process is over."""

    EXITED = "exited"
    TIMED_OUT = "timed-out"
    STALLED = "stalled"


@dataclass(frozen=True)
class Command:
    """One child process to start; `env` is the whole environment, nothing is inherited.

    `family` names a variable of `env` whose value is this command's alone. What still carries it when the command is
    over is ended too, although it left the process group; without it, such processes stay.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    stdin: bytes = b""
    family: str = ""

    @property
    def mark(self) -> str:
        """The entry in the environment that its family carries; empty when it has none."""
        return f"{self.family}={self.env[self.family]}" if self.family else ""


@dataclass(frozen=True)
class Limits:
    """When a process is ended; None means no such limit.

    `stall_seconds` is for silence, on stdout and stderr alike, and `stalls` for other signs that it gets on. A process
    that computes has not stalled (`graftline.stalls`).
    """

    wall_seconds: float | None = None
    stall_seconds: float | None = None
    stalls: tuple[StallLimit, ...] = ()
    grace_seconds: float = 5.0


@dataclass(frozen=True)
class ProcessIdentity:
    """Names a process group so that a later graftline can end it: pid alone may have been reused.

    `started` is opaque; it is empty, and matches nothing, when the process was gone before it could be looked at.
    """

    pid: int
    started: str


OnStart = Callable[[ProcessIdentity], None]
"""Gets the identity of a process the moment it runs, so that it can be recorded."""


@dataclass(frozen=True)
class ProcessResult:
    """How a process ended; `status` is the exit status, negative for a signal.

    `tail` is the end of its output for people: of stdout, then of stderr. `stderr_tail` is the latter alone. `stall`
    says what one that stalled went without, and for how long.
    """

    status: int
    ending: Ending
    seconds: float
    tail: str
    stderr_tail: str = ""
    stall: str = ""


async def run_process(
    command: Command,
    *,
    log: Path,
    limits: Limits,
    on_line: Callable[[str], None] | None = None,
    on_start: OnStart | None = None,
) -> ProcessResult:
    """Run a command to its end, streaming its stdout to `log` and its stderr to `<log>.stderr`.

    Returns when the child is over, also while a grandchild still holds its output. `on_line` gets each line of stdout
    without its end; an exception from it ends the process group and is passed on, as a cancellation is. Raises
    `CannotRunError` when the command cannot be started. A log of an earlier call is replaced.
    """
    begun = time.monotonic()
    with ChildOutput(log, on_line) as stdout, ChildOutput(log.with_name(f"{log.name}.stderr"), None) as stderr:
        starting = asyncio.create_task(_start(command, stdout, stderr))
        try:
            # Not `await starting`: a cancellation at this very moment would end the child without its group.
            await asyncio.wait({starting})
            process = starting.result()
            if on_start is not None:
                on_start(identify(process.pid))
            ending, stall = await _watch(process, (stdout, stderr), limits, begun, command.mark)
        finally:
            # However often we are cancelled, which does not mean impatience: one signal comes as several cancellations.
            await carry_through(_end_child(starting, (stdout, stderr), command.mark, limits.grace_seconds))
        stdout.conclude()
        stderr.conclude()
        return ProcessResult(
            status=await process.wait(),
            ending=ending,
            seconds=time.monotonic() - begun,
            tail=stdout.tail + stderr.tail,
            stderr_tail=stderr.tail,
            stall=stall,
        )


def this_process() -> ProcessIdentity:
    """The identity of the process we are."""
    return identify(os.getpid())


def identify(pid: int) -> ProcessIdentity:
    """The identity of the process that has this pid now."""
    seen = _look_up(pid)
    return ProcessIdentity(pid, seen.started if seen else "")


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether the very process that the identity names still runs; a zombie does not."""
    seen = _look_up(identity.pid)
    return seen is not None and seen.started == identity.started and not seen.is_zombie


async def end_group(identity: ProcessIdentity, grace_seconds: float) -> bool:
    """End a process group that an earlier graftline left behind; False when there is nothing to end.

    Nothing is signalled unless pid and start time both match: the pid may belong to a stranger by now.
    """
    seen = _look_up(identity.pid)
    if seen is None or seen.started != identity.started or not _group_lives(identity.pid):
        return False
    with anyio.CancelScope(shield=True):
        await _end(identity.pid, grace_seconds)
    return True


async def end_family(mark: str, grace_seconds: float) -> bool:
    """End every process that was started with `mark` (`NAME=value`) in its environment, whoever its parent is by now.

    Whether there was any. Where there is no /proc (macOS), none are found.
    """
    return await carry_through(_end_family(mark, None, grace_seconds))


async def _start(command: Command, stdout: ChildOutput, stderr: ChildOutput) -> Process:
    program = command.argv[0]
    if not command.cwd.is_dir():
        raise CannotRunError(f"cannot run {program!r} in {command.cwd}: there is no such folder")
    await stdout.connect()
    await stderr.connect()
    try:
        with tempfile.TemporaryFile() as stdin:
            stdin.write(command.stdin)
            stdin.seek(0)
            process = await asyncio.create_subprocess_exec(
                *command.argv,
                cwd=command.cwd,
                env=command.env,
                stdin=stdin if command.stdin else asyncio.subprocess.DEVNULL,
                stdout=stdout.child_side,
                stderr=stderr.child_side,
                start_new_session=True,
                preexec_fn=_listen_to_sigint if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else None,
            )
    except FileNotFoundError as error:
        message = f"cannot run {program!r}: it (or the interpreter its first line names) was not found; PATH is "
        raise CannotRunError(f"{message}{command.env.get('PATH', '')!r}") from error
    except PermissionError as error:
        raise CannotRunError(f"cannot run {program!r}: it is not an executable file; chmod +x it") from error
    except (OSError, ValueError) as error:
        # ValueError: a NUL in an argument, "=" in a variable's name.
        raise CannotRunError(f"cannot run {program!r}: {error}") from error
    # Ours would keep the output from ever coming to its end.
    stdout.child_side.close()
    stderr.child_side.close()
    return process


def _listen_to_sigint() -> None:
    """Give the child the default Ctrl-C: what we ignore, as under nohup, it would ignore too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def _watch(
    process: Process, outputs: tuple[ChildOutput, ...], limits: Limits, begun: float, mark: str
) -> tuple[Ending, str]:
    """Wait for the end of the process or a limit, and in the first case for the output that is on its way.

    Why it is over, and what it went without when it stalled.
    """
    exited = asyncio.create_task(process.wait())
    stalls = _stall_limits(limits, outputs)
    stalled = asyncio.create_task(until_stalled(stalls, partial(family_cpu_seconds, mark, process.pid)))
    reading = {output.start_reading() for output in outputs}
    try:
        while not exited.done():
            left = None if limits.wall_seconds is None else begun + limits.wall_seconds - time.monotonic()
            if left is not None and left <= 0:
                return Ending.TIMED_OUT, ""
            if stalled.done():
                return Ending.STALLED, stalled.result()
            await asyncio.wait({exited, stalled, *reading}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            reading = _still_reading(reading)
    finally:
        exited.cancel()
        stalled.cancel()
    if reading:
        await asyncio.wait(reading, timeout=DRAIN_SECONDS)
        _still_reading(reading)
    return Ending.EXITED, ""


def _stall_limits(limits: Limits, outputs: tuple[ChildOutput, ...]) -> tuple[StallLimit, ...]:
    if limits.stall_seconds is None:
        return limits.stalls
    silence = StallLimit(
        limits.stall_seconds, lambda: [output.last_heard for output in outputs], "it had printed nothing"
    )
    return (silence, *limits.stalls)


def _still_reading(reading: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """The readers that have not come to an end; raises what made one fail."""
    for task in reading:
        if task.done():
            task.result()
    return {task for task in reading if not task.done()}


async def _end_child(
    starting: asyncio.Task[Process], outputs: tuple[ChildOutput, ...], mark: str, grace_seconds: float
) -> None:
    """End what is left of the child; the caller carries it through."""
    await asyncio.wait({starting})
    if starting.cancelled() or starting.exception() is not None:
        return
    process = starting.result()
    begun = time.monotonic()
    await _end(process.pid, grace_seconds)
    if mark:
        # Only now: a CLI that is told to end may want to end its commands itself. One grace serves both: two in a row
        # would keep a person who cancels waiting for more than 10 s.
        left = grace_seconds - (time.monotonic() - begun)
        await _end_family(mark, process.pid, max(left, min(grace_seconds, FAMILY_GRACE_SECONDS)))
    await process.wait()
    reading = {output.reading for output in outputs if output.reading is not None}
    if reading:
        await asyncio.wait(reading, timeout=DRAIN_SECONDS)


async def _end(group: int, grace_seconds: float) -> None:
    """TERM to the group, grace, KILL: also when its leader is gone. The caller shields it."""
    if not _signal_group(group, signal.SIGTERM):
        return
    with anyio.move_on_after(grace_seconds):
        while _group_lives(group) and _is_patient():  # noqa: ASYNC110  no event tells when a group is gone
            await anyio.sleep(POLL_SECONDS)
    if _group_lives(group):
        _signal_group(group, signal.SIGKILL)
    # Whoever looks at the worktree next must not meet a process that is still dying in it.
    with anyio.move_on_after(KILL_SECONDS):
        while _group_lives(group):  # noqa: ASYNC110  as above
            await anyio.sleep(POLL_SECONDS)


def _is_patient() -> bool:
    hurry = no_grace.get()
    return hurry is None or not hurry.is_set()


async def _end_family(mark: str, group: int | None, grace_seconds: float) -> bool:
    """TERM, grace, KILL to what carries the mark outside the group; the caller shields it. Whether there was any."""
    if not signal_family(mark, signal.SIGTERM, outside=group):
        return False
    with anyio.move_on_after(grace_seconds):
        while signal_family(mark, 0, outside=group) and _is_patient():  # noqa: ASYNC110  no event tells of the end
            await anyio.sleep(POLL_SECONDS)
    # One that forks while we look is found the next time.
    with anyio.move_on_after(KILL_SECONDS):
        while signal_family(mark, signal.SIGKILL, outside=group):  # noqa: ASYNC110  as above
            await anyio.sleep(POLL_SECONDS)
    return True


def _signal_group(group: int, number: signal.Signals) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        return False
    return True


def _group_lives(group: int) -> bool:
    """Whether a member of the group still runs. Zombies do not count: where PID 1 does not reap they stay for ever."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    if not sys.platform.startswith("linux"):
        return True
    members = (_look_up(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return any(member is not None and member.group == group and not member.is_zombie for member in members)


@dataclass(frozen=True)
class _Seen:
    """What the system says of a process."""

    is_zombie: bool
    group: int
    started: str


def _look_up(pid: int) -> _Seen | None:
    if sys.platform.startswith("linux"):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The second field is the program's name, which may hold anything; the fields are counted after it.
        fields = stat.rpartition(")")[2].split()
        # A killed process looks like a zombie while its last threads still hold its port and its files.
        is_zombie = fields[0] in "ZX" and int(fields[17]) <= 1
        return _Seen(is_zombie=is_zombie, group=int(fields[2]), started=fields[19])
    asked = subprocess.run(
        ["/bin/ps", "-o", "state=,pgid=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    match asked.stdout.split(None, 2):
        case [state, group, started]:
            return _Seen(is_zombie=state.startswith("Z"), group=int(group), started=started.strip())
    return None
