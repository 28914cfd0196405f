"""The protocol between graftline and an agent CLI: build the call, read its output, judge its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from graftline.agents.outcome import AgentOutcome
from graftline.process import ProcessResult


@dataclass(frozen=True)
class Assignment:
    """What one call asks of an agent.

    `folder` is the attempt's own folder, outside the worktree: prompt, output log and the CLI's private home live
    there. `budget_usd` is the reservation, for CLIs that can enforce one. `environ` is graftline's own environment,
    from which a backend takes what it needs, by name. `temporary` becomes TMPDIR; it is not within `folder`, whose path
    is too long for the sockets that programs make there.
    """

    prompt: str
    worktree: Path
    folder: Path
    facts: Mapping[str, str]
    env: Mapping[str, str]
    environ: Mapping[str, str]
    budget_usd: float | None = None
    session_id: str = ""
    temporary: Path | None = None


@dataclass(frozen=True)
class Invocation:
    """The child process that carries out an assignment."""

    argv: tuple[str, ...]
    env: dict[str, str]
    stdin: bytes


@dataclass(frozen=True)
class Progress:
    """One line a person may want to see while an agent works."""

    text: str


@dataclass(frozen=True)
class Probe:
    """What is installed: `problems` is empty when the agent can be used; `notes` are worth knowing all the same."""

    backend: str
    binary: str
    version: str = ""
    problems: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())


class Transcript(Protocol):
    """Reads one call's output line by line and judges how it ended."""

    def read(self, line: str) -> Progress | None:
        """Take one line of the agent's stdout; unknown or broken lines are skipped, never an error."""
        ...

    def outcome(self, result: ProcessResult) -> AgentOutcome:
        """Judge the ended process by what was read."""
        ...


class AgentBackend(Protocol):
    """One agent CLI."""

    @property
    def type(self) -> str:
        """The backend type, as `[agent] backend` names it."""
        ...

    @property
    def call_cost_usd(self) -> float | None:
        """What one call costs when that is known beforehand."""
        ...

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find out whether the agent can be used on this machine, without spending anything."""
        ...

    def invocation(self, assignment: Assignment) -> Invocation:
        """Build argv, environment and stdin of one call."""
        ...

    def transcript(self, assignment: Assignment) -> Transcript:
        """A fresh reader for one call's output."""
        ...
