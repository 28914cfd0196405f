"""What a provider's refusal means, from the evidence every agent CLI leaves: a status, a code, a sentence.

Only what the CLI itself reports belongs in here: never the text of a model, a tool or a test log.
"""

import re

from graftline.agents.outcome import OutcomeKind

# Found first, whatever the status: providers send them under 400 and 429 alike.
_ABOVE_STATUS: tuple[tuple[OutcomeKind, re.Pattern[str]], ...] = (
    (
        OutcomeKind.CONTEXT_EXHAUSTED,
        re.compile(
            r"prompt is too long|maximum context length|context_length_exceeded|ran out of room in the model's context"
            r"|input token count .{0,40}exceeds|has hit a token limit",
            re.IGNORECASE,
        ),
    ),
    (
        OutcomeKind.BILLING,
        re.compile(
            r"credit balance is too low|insufficient_quota|exceeded your current quota"
            r"|quota exceeded\. check your plan|billing is not enabled",
            re.IGNORECASE,
        ),
    ),
)

_BY_STATUS = {
    401: OutcomeKind.AUTH,
    402: OutcomeKind.BILLING,
    403: OutcomeKind.AUTH,
    404: OutcomeKind.CONFIG,
    408: OutcomeKind.TRANSIENT,
    429: OutcomeKind.RATE_LIMITED,
    500: OutcomeKind.TRANSIENT,
    502: OutcomeKind.TRANSIENT,
    503: OutcomeKind.OVERLOADED,
    504: OutcomeKind.TRANSIENT,
    529: OutcomeKind.OVERLOADED,
}

_BY_CODE = {
    "billing_error": OutcomeKind.BILLING,
    "authentication_failed": OutcomeKind.AUTH,
    "model_not_found": OutcomeKind.CONFIG,
    "rate_limit": OutcomeKind.RATE_LIMITED,
    "overloaded": OutcomeKind.OVERLOADED,
    "server_error": OutcomeKind.TRANSIENT,
}

# Without a status. A bare number proves nothing: it may count lines.
_BY_TEXT: tuple[tuple[OutcomeKind, re.Pattern[str]], ...] = (
    (
        OutcomeKind.AUTH,
        re.compile(
            r"(error|status|http):? ?40[13]\b|\(40[13]\)|invalid (x-)?api[- ]key|incorrect api key|api key not valid"
            r"|authentication_?error|please run /login|not logged in|permission_denied",
            re.IGNORECASE,
        ),
    ),
    (
        OutcomeKind.CONFIG,
        re.compile(
            r"no such model|issue with the selected model|NotFoundError|unknown option|unexpected argument '"
            r"|error (loading config|finding codex home)|root/sudo privileges",
            re.IGNORECASE,
        ),
    ),
    (
        OutcomeKind.RATE_LIMITED,
        re.compile(
            r"(error|status|http):? ?429\b|\(429\)|rate.?limit|usage limit|resource_exhausted"
            r"|resource has been exhausted|too many requests",
            re.IGNORECASE,
        ),
    ),
    (OutcomeKind.OVERLOADED, re.compile(r"overloaded|at capacity|high demand|\bUNAVAILABLE\b", re.IGNORECASE)),
    (
        OutcomeKind.TRANSIENT,
        re.compile(
            r"internal server error|stream (disconnected|ended)|without a finish reason|ECONNRESET|ECONNREFUSED"
            r"|ENOTFOUND|ETIMEDOUT|fetch failed|connection (error|failed)|cannot connect to api|empty response",
            re.IGNORECASE,
        ),
    ),
)


def classify_refusal(*, status: int | None, code: str, text: str) -> OutcomeKind | None:
    """The kind of outcome a provider's refusal is, or None when nothing here says so.

    `status` is the HTTP status the CLI reports, `code` its name for the error, `text` its own sentence about it. What
    ends the context or the credit goes before the status, the status before the code, and the code before the text.
    """
    for kind, pattern in _ABOVE_STATUS:
        if pattern.search(text):
            return kind
    if status in _BY_STATUS and code != "billing_error":
        return _BY_STATUS[status]
    if code in _BY_CODE:
        return _BY_CODE[code]
    return next((kind for kind, pattern in _BY_TEXT if pattern.search(text)), None)
