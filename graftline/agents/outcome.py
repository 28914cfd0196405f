"""What an attempt returned: its kind, what it cost and what the agent said last."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

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


class Policy(StrEnum):
    """What happens after an attempt of a kind."""

    DONE = "done"
    RETRY = "retry"
    STOP_TASK = "stop the task"
    STOP_RUN = "stop the run"


POLICIES: dict[OutcomeKind, Policy] = {
    OutcomeKind.OK: Policy.DONE,
    OutcomeKind.NO_CHANGE: Policy.DONE,
    OutcomeKind.FAILED: Policy.RETRY,
    OutcomeKind.AUTH: Policy.STOP_RUN,
    OutcomeKind.BILLING: Policy.STOP_RUN,
    OutcomeKind.CONFIG: Policy.STOP_RUN,
    OutcomeKind.RATE_LIMITED: Policy.RETRY,
    OutcomeKind.OVERLOADED: Policy.RETRY,
    OutcomeKind.TRANSIENT: Policy.RETRY,
    OutcomeKind.CONTEXT_EXHAUSTED: Policy.RETRY,
    OutcomeKind.MAX_TURNS: Policy.RETRY,
    OutcomeKind.BUDGET: Policy.STOP_TASK,
    OutcomeKind.STALLED: Policy.RETRY,
    OutcomeKind.TIMED_OUT: Policy.RETRY,
    OutcomeKind.INTERRUPTED: Policy.RETRY,
    OutcomeKind.PERMISSION_DENIED: Policy.STOP_TASK,
}


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


@dataclass(frozen=True)
class AgentOutcome:
    """How one agent call ended, judged by evidence rather than by its exit code.

    `kind` is never `NO_CHANGE` for an agent that merely changed nothing: whoever looks at the worktree decides that
    (`declared_no_change` holds the reason of a `NO-CHANGE: reason` line in the last message, or None). `usage` is this
    call's own; `session_usage` is what the CLI has counted up over the whole session, where that is what it reports.
    `retry_at` is when the provider said it would take requests again. `called` is false of an attempt that ended before
    its agent was started.
    """

    kind: OutcomeKind
    detail: str = ""
    last_message: str = ""
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
