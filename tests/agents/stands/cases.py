"""What every CLI that talks to a provider can meet; each has a recording of each, or says why not."""

CASES = (
    "success",
    "tool_error",
    "rate_limit_then_ok",
    "auth_failure",
    "credit",
    "overload_giveup",
    "context_overflow",
    "max_turns",
    "max_budget",
    "sigterm",
    "stream_drop",
)
