"""What a refusal means: context and credit before the status, the status before the code, the code before the text."""

import pytest

from graftline.agents.evidence import classify_refusal
from graftline.agents.outcome import OutcomeKind

K = OutcomeKind


@pytest.mark.parametrize(
    ("status", "code", "text", "kind"),
    [
        (429, "rate_limit", "prompt is too long", K.CONTEXT_EXHAUSTED),
        (429, "rate_limit", "You exceeded your current quota", K.BILLING),
        (400, "", "Billing is not enabled for this project.", K.BILLING),
        (400, "billing_error", "", K.BILLING),
        (429, "billing_error", "", K.BILLING),
        (401, "", "overloaded", K.AUTH),
        (403, "", "", K.AUTH),
        (404, "", "", K.CONFIG),
        (529, "authentication_failed", "Invalid API key", K.OVERLOADED),
        (503, "", "", K.OVERLOADED),
        (500, "", "rate limit", K.TRANSIENT),
        (400, "model_not_found", "rate limit", K.CONFIG),
        (None, "overloaded", "Invalid API key", K.OVERLOADED),
        (None, "", "API Error: 401 {}", K.AUTH),
        (None, "", "HTTP 429", K.RATE_LIMITED),
        (None, "", "Claude AI usage limit reached|1763700000", K.RATE_LIMITED),
        (None, "", "read ECONNRESET", K.TRANSIENT),
        (None, "", "Cannot connect to API: Unable to connect.", K.TRANSIENT),
        (None, "", "the model is at capacity", K.OVERLOADED),
        (400, "invalid_request", "messages: at least one message is required", None),
        (None, "", "401 passed, 429 failed in 500 s", None),
        (None, "", "", None),
    ],
)
def test_strongest_evidence_wins(status: int | None, code: str, text: str, kind: OutcomeKind | None) -> None:
    assert classify_refusal(status=status, code=code, text=text) is kind
