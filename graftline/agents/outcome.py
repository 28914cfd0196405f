"""What an attempt returned: its kind, what it cost and what the agent said last."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from graftline.agents.tiers import Tier


class OutcomeKind(StrEnum):
    """How one agent call ended. Every kind has one policy (`POLICIES`)."""

    OK = "ok"
    NO_CHANGE = "no-change"
    FAILED = "failed"
    AUTH = "auth"
    BILLING = "billing"
    CONFIG = "config"
    RATE_LIMITED = "rate-limited"
    OVERLOADED = "overloaded"
    TRANSIENT = "transient"
    CONTEXT_EXHAUSTED = "context-exhausted"
    MAX_TURNS = "max-turns"
    BUDGET = "budget"
    STALLED = "stalled"
    TIMED_OUT = "timed-out"
    INTERRUPTED = "interrupted"
    PERMISSION_DENIED = "permission-denied"
    STUCK = "stuck"


class Policy(StrEnum):
    """What happens after an attempt of a kind.

    `RETRY`, `RESUME` and `GO_ON` use up one of the task's extra attempts, `WAIT` and `ASK_PERSON` do not. A program
    that cannot be told to go on (`Capabilities.converses`) starts afresh in each case.
    """

    DONE = "done"
    RETRY = "retry"
    """A new attempt, from the base."""
    RESUME = "resume the session"
    """The CLI's own session goes on in the same worktree; where it cannot, as `GO_ON`."""
    GO_ON = "go on in a new session"
    """A new session in the same worktree is told what was done so far."""
    WAIT = "wait for the provider"
    """Once the provider takes requests again, as `RESUME`."""
    ASK_PERSON = "ask a person"
    """Once a person has answered its question, as `RESUME`."""
    STOP_TASK = "stop the task"
    STOP_RUN = "stop the run"


POLICIES: dict[OutcomeKind, Policy] = {
    OutcomeKind.OK: Policy.DONE,
    OutcomeKind.NO_CHANGE: Policy.DONE,
    OutcomeKind.FAILED: Policy.RETRY,
    OutcomeKind.AUTH: Policy.STOP_RUN,
    OutcomeKind.BILLING: Policy.STOP_RUN,
    OutcomeKind.CONFIG: Policy.STOP_RUN,
    OutcomeKind.RATE_LIMITED: Policy.WAIT,
    OutcomeKind.OVERLOADED: Policy.WAIT,
    OutcomeKind.TRANSIENT: Policy.WAIT,
    OutcomeKind.CONTEXT_EXHAUSTED: Policy.GO_ON,
    OutcomeKind.MAX_TURNS: Policy.GO_ON,
    OutcomeKind.BUDGET: Policy.STOP_TASK,
    OutcomeKind.STALLED: Policy.RESUME,
    OutcomeKind.TIMED_OUT: Policy.GO_ON,
    OutcomeKind.INTERRUPTED: Policy.RESUME,
    OutcomeKind.PERMISSION_DENIED: Policy.STOP_TASK,
    OutcomeKind.STUCK: Policy.ASK_PERSON,
}

ANOTHER_ATTEMPT = frozenset({Policy.RETRY, Policy.RESUME, Policy.GO_ON})
"""Policies that use up one of a task's extra attempts."""
FREE = frozenset({Policy.WAIT, Policy.ASK_PERSON})
"""Policies that use up none, because it is somebody else's turn first."""
SAME_WORKTREE = frozenset({Policy.RESUME, Policy.GO_ON, Policy.WAIT, Policy.ASK_PERSON})
"""Policies whose next attempt goes on where the last one ended."""


@dataclass(frozen=True)
class Usage:
    """What one call used; None means the CLI did not say, which is not zero.

    `input_tokens` were read anew, `cached_tokens` from a cache: none is counted in both.
    """

    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    turns: int | None = None

    def since(self, earlier: "Usage") -> "Usage":
        """What was used after `earlier`, where both count up over one session; None where nothing was counted.

        A count that is lower than it was began anew, so it is all later use. What `earlier` did not know of counts as
        later use too: somebody used it, and nobody has counted it.
        """
        return Usage(
            cost_usd=_increase(self.cost_usd, earlier.cost_usd),
            input_tokens=_increase(self.input_tokens, earlier.input_tokens),
            output_tokens=_increase(self.output_tokens, earlier.output_tokens),
            cached_tokens=_increase(self.cached_tokens, earlier.cached_tokens),
            turns=_increase(self.turns, earlier.turns),
        )


Number = TypeVar("Number", int, float)


def _increase(total: Number | None, earlier: Number | None) -> Number | None:
    return total if total is None or earlier is None or total < earlier else total - earlier


@dataclass(frozen=True)
class AgentOutcome:
    """How one agent call ended, judged by evidence rather than by its exit code.

    `kind` is never `NO_CHANGE` for an agent that merely changed nothing: whoever looks at the worktree decides that
    (`declared_no_change` holds the reason of a `NO-CHANGE: reason` line in the last message, or None). `answer` is the
    last message in full and as it came, of a CLI that fills forms. `usage` is this
    call's own; `session_usage` is what the CLI has counted up over the whole session, where that is what it reports.
    `retry_at` is when the provider said it would take requests again. `called` is false of an attempt that ended before
    its agent was started.
    """

    kind: OutcomeKind
    detail: str = ""
    last_message: str = ""
    answer: str = field(default="", repr=False)
    declared_no_change: str | None = None
    usage: Usage = field(default_factory=Usage)
    profile: str = ""
    tier: Tier | None = None
    backend: str = ""
    version: str = ""
    model: str = ""
    session_id: str = ""
    session_usage: Usage | None = None
    retry_at: datetime | None = None
    exit_status: int | None = None
    seconds: float = 0.0
    called: bool = True
