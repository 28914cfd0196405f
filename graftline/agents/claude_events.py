"""The events of Claude Code's `stream-json` output, as far as graftline uses them.

Unknown events and fields are skipped, so that a newer CLI does not break an older graftline.
"""

from typing import Annotated, Any

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator


def _or_unknown(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """A field of another shape than we know is unknown; it must not hide the verdict beside it."""
    try:
        return validate(value)
    except ValidationError:
        return None


_Unsure = WrapValidator(_or_unknown)
_Count = Annotated[int, Field(ge=0)]


class Event(BaseModel):
    """One line of the stream."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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


class Block(Event):
    """A piece of an assistant's message: text, or a tool called with some input."""

    type: str
    text: str = ""
    name: str = ""
    input: Annotated[dict[str, object] | None, _Unsure] = None


class Message(Event):
    """What the model said."""

    content: tuple[Block, ...] = ()


class Assistant(Event):
    """One piece of the conversation; `error` marks a message that the CLI wrote about a failed request."""

    message: Message
    parent_tool_use_id: str | None = None
    error: str | None = None


class ModelUsage(Event):
    """What one model was used for in this call."""

    input_tokens: _Count = Field(default=0, alias="inputTokens")
    output_tokens: _Count = Field(default=0, alias="outputTokens")
    cached_tokens: _Count = Field(default=0, alias="cacheReadInputTokens")
    cache_creation_tokens: _Count = Field(default=0, alias="cacheCreationInputTokens")


class Denial(Event):
    """A tool the agent was not allowed to use."""

    tool_name: str = ""


class Result(Event):
    """The final event: the CLI's own verdict and account."""

    subtype: str
    is_error: bool
    session_id: Annotated[str | None, _Unsure] = None
    result: Annotated[str | None, _Unsure] = None
    errors: Annotated[tuple[str, ...] | None, _Unsure] = None
    api_error_status: Annotated[int | None, _Unsure] = None
    terminal_reason: Annotated[str | None, _Unsure] = None
    num_turns: Annotated[_Count | None, _Unsure] = None
    total_cost_usd: Annotated[Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, _Unsure] = None
    model_usage: Annotated[dict[str, ModelUsage] | None, _Unsure] = Field(default=None, alias="modelUsage")
    permission_denials: Annotated[tuple[Denial, ...] | None, _Unsure] = None

    @property
    def succeeded(self) -> bool:
        """Whether the CLI says so; versions differ in whether `is_error` is set beside an `error_…` subtype."""
        return self.subtype == "success" and not self.is_error


_SYSTEM_EVENTS: dict[object, type[Event]] = {"init": Init, "api_retry": Retry}
_EVENTS: dict[object, type[Event]] = {"assistant": Assistant, "result": Result}


def parse_event(line: str) -> Event | None:
    """The event on a line, or None when it is none, is broken, or is of no use to us."""
    if not line.startswith("{"):
        return None
    try:
        # Any: foreign JSON, given a type by the models above.
        event: Any = pydantic_core.from_json(line)
        kind = event.get("type")
        model = _SYSTEM_EVENTS.get(event.get("subtype")) if kind == "system" else _EVENTS.get(kind)
        return None if model is None else model.model_validate(event)
    except (ValueError, TypeError):  # broken JSON, a shape we do not know, a type that is a list
        return None
