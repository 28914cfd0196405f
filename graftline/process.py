"""The only place that starts a child process (short git calls apart)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Ending(StrEnum):
    """Why a process is over."""

    EXITED = "exited"
    TIMED_OUT = "timed-out"
    STALLED = "stalled"


@dataclass(frozen=True)
class Command:
    """One child process to start; `env` is the whole environment, nothing is inherited."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    stdin: bytes = b""


@dataclass(frozen=True)
class Limits:
    """When a process is ended; None means no such limit."""

    wall_seconds: float | None = None
    stall_seconds: float | None = None
    grace_seconds: float = 5.0


@dataclass(frozen=True)
class ProcessIdentity:
    """Names a process group so that a later graftline can end it: pid alone may have been reused."""

    pid: int
    started: str


@dataclass(frozen=True)
class ProcessResult:
    """How a process ended; `status` is the exit status, negative for a signal."""

    status: int
    ending: Ending
    seconds: float
    tail: str


async def run_process(
    command: Command,
    *,
    log: Path,
    limits: Limits,
    on_line: Callable[[str], None] | None = None,
    on_start: Callable[[ProcessIdentity], None] | None = None,
) -> ProcessResult:
    """Run a command to its end, streaming its output to `log`."""
