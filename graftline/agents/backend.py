"""The protocol between graftline and an agent CLI: build the call, read its output, judge its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from graftline.agents.outcome import AgentOutcome, Usage
from graftline.process import ProcessResult

PROGRESS_CHARS = 200
"""How long the text of `Progress` may be."""


@dataclass(frozen=True)
class Session:
    """A conversation with an agent CLI that another call can go on with, from the same private home.

    `usage` is what the CLI had counted up in it by its end, for those that report totals of the conversation instead of
    what a call used.
    """

    id: str
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Form:
    """What a call is to be answered with, instead of work: one JSON object of the schema.

    Such a call may read and write nothing. `instructions` stand in for what the CLI tells its model of its own work.
    """

    schema: Mapping[str, JsonValue]
    instructions: str


@dataclass(frozen=True)
class Assignment:
    """What one call asks of an agent.

    `folder` is the attempt's own folder, outside the worktree: prompt and output log live there, and the CLI's private
    home unless `private_home` is another, that of an attempt it goes on from. `session_id` names the session of a call
    that begins one, `session` is the one of a call that goes on with it.
    `budget_usd` is the reservation, for CLIs that can enforce one. `environ` is graftline's own environment, from which
    a backend takes what it needs, by name. `temporary` becomes TMPDIR; it is not within `folder`, whose path is too
    long for the sockets that programs make there. `form` is for CLIs that take one (`Capabilities.fills_forms`).
    """

    prompt: str
    worktree: Path
    folder: Path
    facts: Mapping[str, str]
    env: Mapping[str, str]
    environ: Mapping[str, str]
    budget_usd: float | None = None
    session_id: str = ""
    session: Session | None = None
    private_home: Path | None = None
    temporary: Path | None = None
    form: Form | None = None

    @property
    def home(self) -> Path:
        """Where HOME points during the call."""
        return self.private_home or self.folder / "home"


@dataclass(frozen=True)
class Invocation:
    """The child process that carries out an assignment, and the files it has to find.

    `files` are written before it starts, readable by us alone: what a CLI takes by no flag or variable.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    stdin: bytes
    files: Mapping[Path, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """What one line of output tells: `text` for a person, and what graftline itself watches for.

    What a tool printed is never in `text`: it may be a secret. `said` is the agent's own words in full, `command` the
    tool call that begins (equal for equal calls), `error` what a tool call failed with. Each is empty where the line
    has none.
    """

    text: str
    said: str = ""
    command: str = ""
    error: str = ""


@dataclass(frozen=True)
class Capabilities:
    """What an agent CLI can do.

    `converses`: it is an agent that reports what it does, so silence means something and it can be told to go on where
    another call ended; a plain program starts afresh. `resumes`: it can go on with its own earlier session.
    `enforces_budget`: it ends a call that reaches its money limit. `reports_cost`: it says what a call cost.
    `fills_forms`: it can be kept from all work and held to a JSON schema.
    """

    converses: bool = True
    resumes: bool = False
    enforces_budget: bool = False
    reports_cost: bool = False
    fills_forms: bool = False


@dataclass(frozen=True)
class Probe:
    """What is installed: `problems` is empty when the agent can be used; `notes` are worth knowing all the same.

    `is_tested` is None where there are no versions to be tested. `access` names the variable, setting or login by which
    the agent reaches its provider, never what is in it.
    """

    backend: str
    binary: str
    version: str = ""
    problems: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    is_tested: bool | None = None
    access: str = ""


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

    @property
    def capabilities(self) -> Capabilities:
        """What its CLI can do."""
        ...

    def provider(self, environ: Mapping[str, str]) -> str:
        """Who answers its CLI's requests, by host name; calls to one provider wait for it together. Empty: nobody."""
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
