"""A provider's gate: closed for a while to all tasks of all runs when it takes no requests.

Waits grow as in truncated exponential backoff with jitter (AWS Architecture Blog, "Exponential Backoff And Jitter",
2015), unless the provider named a time itself.
"""

import random
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from graftline.settings import ProviderSettings

JITTER = 0.25
FORGOTTEN_AFTER = timedelta(minutes=15)
"""A gate that opened this long ago says nothing about the provider any more."""


class Gate(BaseModel):
    """Until when a provider is left alone, how often in a row it was, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: AwareDatetime
    waits: int = Field(ge=1)
    reason: str = ""

    def is_closed(self, now: datetime) -> bool:
        """Whether nobody may ask the provider now."""
        return now < self.until


def close_gate(
    gate: Gate | None, *, now: datetime, retry_at: datetime | None, reason: str, settings: ProviderSettings
) -> Gate:
    """The gate after a refusal that came at `now`; `retry_at` is when the provider said it would take requests again.

    Several agents are refused at once: while the gate is closed a refusal only makes it stay so for longer, when the
    provider says so.
    """
    if gate is not None and gate.is_closed(now):
        return gate if retry_at is None else gate.model_copy(update={"until": max(gate.until, retry_at)})
    is_recent = gate is not None and now - gate.until < FORGOTTEN_AFTER
    waits = gate.waits + 1 if gate is not None and is_recent else 1
    # Far below the exponent at which a float overflows, and far above any sensible longest wait.
    seconds = min(settings.first_wait_seconds * 2 ** min(waits - 1, 64), settings.longest_wait_seconds)
    named = max(0.0, (retry_at - now).total_seconds()) if retry_at is not None else None
    wait = seconds if named is None else named
    jitter = random.uniform(0, JITTER * min(wait, settings.longest_wait_seconds))  # noqa: S311  no secret
    return Gate(until=now + timedelta(seconds=wait + jitter), waits=waits, reason=reason)
