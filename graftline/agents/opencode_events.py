"""The events of OpenCode's JSON output, as far as graftline uses them."""

from typing import Annotated

from pydantic import Field

from graftline.agents.events import Count, Dollars, Event, Unsure, build_event, read_object


class SessionEvent(Event):
    """What every event has: the session it belongs to."""

    session_id: str = Field(default="", alias="sessionID")


class TextPart(Event):
    """What the model says, or where it is `synthetic`, what OpenCode tells it."""

    text: str = ""
    synthetic: Annotated[bool | None, Unsure] = None


class Said(SessionEvent):
    """A text, whole."""

    part: TextPart


class ToolMetadata(Event):
    """What a tool says of itself; `exit` is the status of a command."""

    exit: Annotated[int | None, Unsure] = None


class ToolState(Event):
    """How a tool call went."""

    input: Annotated[dict[str, object] | None, Unsure] = None
    output: Annotated[str | None, Unsure] = None
    error: Annotated[str | None, Unsure] = None
    metadata: Annotated[ToolMetadata | None, Unsure] = None


class ToolPart(Event):
    """A tool that the model called."""

    tool: str = ""
    state: ToolState = ToolState()


class ToolUse(SessionEvent):
    """A tool call, once it has ended."""

    part: ToolPart


class Cache(Event):
    """Tokens that the provider had kept, and those it was to keep."""

    read: Count = 0
    write: Count = 0


class Tokens(Event):
    """What one step used; `input` is what was not cached, `output` is without `reasoning`."""

    input: Count = 0
    output: Count = 0
    reasoning: Count = 0
    cache: Cache = Cache()


class StepPart(Event):
    """One answer of the model: why it ended, and what it used."""

    reason: str = ""
    tokens: Annotated[Tokens | None, Unsure] = None
    cost: Annotated[Dollars | None, Unsure] = None


class StepFinish(SessionEvent):
    """The end of a step."""

    part: StepPart


class FailureData(Event):
    """What is known of an error."""

    message: str = ""
    status: Annotated[int | None, Unsure] = Field(default=None, alias="statusCode")
    body: Annotated[str | None, Unsure] = Field(default=None, alias="responseBody")


class Failure(Event):
    """An error of the call."""

    name: str = ""
    data: Annotated[FailureData | None, Unsure] = None


class Trouble(SessionEvent):
    """What OpenCode came to grief with, after its own tries."""

    error: Failure


class StepStart(SessionEvent):
    """The beginning of a step."""


_EVENTS: dict[object, type[Event]] = {
    "step_start": StepStart,
    "text": Said,
    "tool_use": ToolUse,
    "step_finish": StepFinish,
    "error": Trouble,
}


def parse_event(line: str) -> SessionEvent | None:
    """The event on a line, or None when it is none, is broken, or is of no use to us."""
    found = build_event(read_object(line), _EVENTS, "type")
    return found if isinstance(found, SessionEvent) else None
