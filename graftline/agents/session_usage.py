"""What a call used, from a CLI that counts up over its whole session."""

from graftline.agents.backend import Session
from graftline.agents.outcome import Usage


def total_usage(*, input_tokens: int, cached_tokens: int, output_tokens: int) -> Usage:
    """A session's totals as OpenAI's API counts: cached tokens among the input."""
    return Usage(
        input_tokens=max(0, input_tokens - cached_tokens), output_tokens=output_tokens, cached_tokens=cached_tokens
    )


def split_usage(totals: Usage | None, session: Session | None) -> tuple[Usage, Usage | None]:
    """A call's own use and the totals by its end, from those the CLI told and the session that the call went on with.

    A call that told none used what nobody knows, and leaves the totals as they were.
    """
    if totals is None:
        return Usage(), session.usage if session is not None else None
    return totals.since(session.usage if session is not None else Usage()), totals
