"""The events of Qwen Code's `stream-json` output: those of Claude Code, with an account and errors of its own."""

from typing import Annotated

from pydantic import Field

from graftline.agents.claude_events import Denial, Message, ToolResults
from graftline.agents.events import Count, Event, Unsure, build_event, read_object


class Init(Event):
    """The first event: which CLI, model and session."""

    session_id: str = ""
    model: str = ""
    qwen_code_version: str = ""


class TokenUsage(Event):
    """What was used; cached tokens are counted among the input."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_input_tokens: Count = 0


class QwenMessage(Message):
    """A piece of what the model said, or of what the CLI says in its place; no model has used tokens for the latter."""

    usage: Annotated[TokenUsage | None, Unsure] = None


class Assistant(Event):
    """One piece of the conversation."""

    message: QwenMessage
    parent_tool_use_id: str | None = None


class Problem(Event):
    """What went wrong, in the CLI's words."""

    message: str = ""


class Result(Event):
    """The final event; `usage` is of the whole session, `num_turns` of this call."""

    is_error: bool
    result: Annotated[str | None, Unsure] = None
    error: Annotated[Problem | None, Unsure] = None
    num_turns: Annotated[Count | None, Unsure] = None
    usage: TokenUsage = Field(default_factory=TokenUsage)
    permission_denials: Annotated[tuple[Denial, ...] | None, Unsure] = None


_SYSTEM_EVENTS: dict[object, type[Event]] = {"init": Init}
_EVENTS: dict[object, type[Event]] = {"assistant": Assistant, "user": ToolResults, "result": Result}


def parse_event(line: str) -> Event | None:
    """The event on a line, or None when it is none, is broken, or is of no use to us."""
    found = read_object(line)
    if found.get("type") == "system":
        return build_event(found, _SYSTEM_EVENTS, "subtype")
    return build_event(found, _EVENTS, "type")
