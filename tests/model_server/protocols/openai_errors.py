"""OpenAI's errors, the same in both of its protocols."""

from tests.model_server.protocols.wire import Failure, JsonObject
from tests.model_server.scenario import FailureKind

_QUOTA = "You exceeded your current quota, please check your plan and billing details."

# kind: status, type, code, message
_FAILURES: dict[FailureKind, tuple[int, str, str | None, str]] = {
    FailureKind.RATE_LIMIT: (
        429,
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for requests. Please try again in 1s.",
    ),
    FailureKind.OVERLOADED: (
        503,
        "server_error",
        "server_is_overloaded",
        "The server is currently overloaded. Please try again later.",
    ),
    FailureKind.SERVER: (500, "server_error", None, "Internal server error"),
    FailureKind.AUTH: (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    FailureKind.PERMISSION: (403, "invalid_request_error", "forbidden", "Your account does not have permission"),
    FailureKind.NOT_FOUND: (404, "invalid_request_error", "model_not_found", "model: no such model"),
    FailureKind.CONTEXT: (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 250000 tokens. "
        "Please reduce the length of the messages.",
    ),
    FailureKind.CREDIT: (429, "insufficient_quota", "insufficient_quota", _QUOTA),
    FailureKind.QUOTA: (429, "insufficient_quota", "insufficient_quota", _QUOTA),
    FailureKind.SCHEMA: (
        400,
        "invalid_request_error",
        None,
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    ),
    FailureKind.BAD_REQUEST: (400, "invalid_request_error", None, "invalid request"),
}


def openai_failure(failure: Failure) -> tuple[int, JsonObject]:
    """Status and body of an OpenAI error."""
    status, error_type, code, message = _FAILURES[failure.kind]
    error: JsonObject = {"message": failure.message or message, "type": error_type, "param": None, "code": code}
    return status, {"error": error}
