"""The events of Claude Code's `stream-json` output, as far as graftline uses them."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from graftline.agents.events import Count, Dollars, Event, Unsure, build_event, read_object


class Init(Event):
    """The first event: which CLI, model and session."""

    session_id: str = ""
    model: str = ""
    claude_code_version: str = ""


class Retry(Event):
    """The CLI waits for its provider and tries again."""

    attempt: int = 0
    max_retries: int = 0
    error_status: int | None = None
    error: str = ""


class RateLimitInfo(Event):
    """How the account stands; times are seconds since 1970."""

    status: str = ""
    resets_at: Annotated[AwareDatetime | None, Unsure] = Field(default=None, alias="resetsAt")


class RateLimit(Event):
    """The account came nearer to a limit, or has met it."""

    rate_limit_info: RateLimitInfo

    @property
    def lifts_at(self) -> datetime | None:
        """When requests are taken again, if they are refused now."""
        return self.rate_limit_info.resets_at if self.rate_limit_info.status == "rejected" else None


class Block(Event):
    """A piece of an assistant's message: text, or a tool called with some input."""

    type: str
    text: str = ""
    name: str = ""
    input: Annotated[dict[str, object] | None, Unsure] = None


class Message(Event):
    """What the model said."""

    content: tuple[Block, ...] = ()


class Assistant(Event):
    """One piece of the conversation; `error` marks a message that the CLI wrote about a failed request."""

    message: Message
    parent_tool_use_id: str | None = None
    error: str | None = None


class ToolResult(Event):
    """What came of a tool call."""

    content: object = None
    is_error: Annotated[bool | None, Unsure] = None


class ToolMessage(Event):
    """What tools answered the model."""

    content: tuple[ToolResult, ...] = ()


class ToolResults(Event):
    """The results of tool calls, as the model gets them."""

    message: ToolMessage


class ModelUsage(Event):
    """What one model was used for in this call."""

    input_tokens: Count = Field(default=0, alias="inputTokens")
    output_tokens: Count = Field(default=0, alias="outputTokens")
    cached_tokens: Count = Field(default=0, alias="cacheReadInputTokens")
    cache_creation_tokens: Count = Field(default=0, alias="cacheCreationInputTokens")


class Denial(Event):
    """A tool the agent was not allowed to use."""

    tool_name: str = ""


class Result(Event):
    """The final event: the CLI's own verdict and account."""

    subtype: str
    is_error: bool
    session_id: Annotated[str | None, Unsure] = None
    result: Annotated[str | None, Unsure] = None
    errors: Annotated[tuple[str, ...] | None, Unsure] = None
    api_error_status: Annotated[int | None, Unsure] = None
    terminal_reason: Annotated[str | None, Unsure] = None
    num_turns: Annotated[Count | None, Unsure] = None
    total_cost_usd: Annotated[Dollars | None, Unsure] = None
    model_usage: Annotated[dict[str, ModelUsage] | None, Unsure] = Field(default=None, alias="modelUsage")
    permission_denials: Annotated[tuple[Denial, ...] | None, Unsure] = None

    @property
    def succeeded(self) -> bool:
        """Whether the CLI says so; versions differ in whether `is_error` is set beside an `error_…` subtype."""
        return self.subtype == "success" and not self.is_error


_SYSTEM_EVENTS: dict[object, type[Event]] = {"init": Init, "api_retry": Retry}
_EVENTS: dict[object, type[Event]] = {
    "assistant": Assistant,
    "user": ToolResults,
    "rate_limit_event": RateLimit,
    "result": Result,
}


def parse_event(line: str) -> Event | None:
    """The event on a line, or None when it is none, is broken, or is of no use to us."""
    found = read_object(line)
    if found.get("type") == "system":
        return build_event(found, _SYSTEM_EVENTS, "subtype")
    return build_event(found, _EVENTS, "type")
