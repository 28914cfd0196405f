"""How a backend joins the conformance suite."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from graftline.agents.backend import AgentBackend
from graftline.agents.outcome import OutcomeKind, Usage

SECRET = "sk-very-secret-0123456789"


class MakeBackend(Protocol):
    """Builds a backend whose CLI is the given program, with a key of its own."""

    def __call__(self, program: Path) -> AgentBackend: ...


@dataclass(frozen=True)
class Recorded:
    """What a recorded call of the real CLI has to be judged as.

    `detail` is a part of the outcome's; `usage` and `session` are compared where they are given. The recording is
    `tests/agents/streams/TYPE/NAME.jsonl` (or `.txt`), with `NAME.stderr` beside it where the CLI wrote any.
    """

    kind: OutcomeKind
    status: int = 0
    detail: str = ""
    usage: Usage | None = None
    session: str = ""


@dataclass(frozen=True)
class Stand:
    """How to stand in for one CLI, and what is known of the real one.

    `success` is what the stand-in prints when it succeeds, `notes` what its probe says all the same. `recorded` names
    recordings by case, and more of a case by `CASE-VERSION`; `lacking` says of each other case of the suite why there
    is none.
    """

    make: MakeBackend
    success: Sequence[str]
    last_message: str
    cost_usd: float | None = 0.01
    version_output: str = "1.2.3"
    notes: Sequence[str] = ()
    recorded: Mapping[str, Recorded] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)
