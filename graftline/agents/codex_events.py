"""The events of `codex exec --json`, as far as graftline uses them."""

from typing import Annotated

from pydantic import Field

from graftline.agents.events import Count, Event, Unsure, read_event


class ThreadStarted(Event):
    """The first event: which session."""

    thread_id: str = ""


class TurnStarted(Event):
    """The model is about to be asked."""


class Change(Event):
    """A file that a patch touches."""

    path: str = ""
    kind: str = ""


class Item(Event):
    """What the agent says or does. Its `type` tells which of the fields it has."""

    type: str
    text: Annotated[str | None, Unsure] = None
    message: Annotated[str | None, Unsure] = None
    command: Annotated[str | None, Unsure] = None
    query: Annotated[str | None, Unsure] = None
    server: Annotated[str | None, Unsure] = None
    tool: Annotated[str | None, Unsure] = None
    arguments: object = None
    changes: Annotated[tuple[Change, ...] | None, Unsure] = None
    aggregated_output: Annotated[str | None, Unsure] = None
    status: Annotated[str | None, Unsure] = None


class ItemStarted(Event):
    """A tool call begins."""

    item: Item


class ItemCompleted(Event):
    """A tool call is over, or the agent said something."""

    item: Item


class Problem(Event):
    """What went wrong, in the CLI's words."""

    message: str = ""


class Trouble(Problem):
    """A failed request; the CLI may well try again, so it is no verdict."""


class TokenUsage(Event):
    """What the whole session has used so far; cached tokens are counted among the input."""

    input_tokens: Count = 0
    cached_input_tokens: Count = 0
    output_tokens: Count = 0


class TurnCompleted(Event):
    """The final event of a turn that went well."""

    usage: Annotated[TokenUsage | None, Unsure] = None


class TurnFailed(Event):
    """The final event of a turn that did not."""

    error: Problem = Field(default_factory=Problem)


_EVENTS: dict[object, type[Event]] = {
    "thread.started": ThreadStarted,
    "turn.started": TurnStarted,
    "item.started": ItemStarted,
    "item.completed": ItemCompleted,
    "error": Trouble,
    "turn.completed": TurnCompleted,
    "turn.failed": TurnFailed,
}


def parse_event(line: str) -> Event | None:
    """The event on a line, or None when it is none, is broken, or is of no use to us."""
    return read_event(line, _EVENTS)
