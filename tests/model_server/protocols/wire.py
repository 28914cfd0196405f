"""What a wire protocol is to this server: how to read its requests, and how to spell replies and failures in it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, JsonValue

from tests.model_server.conversation import ModelRequest
from tests.model_server.reply import Reply
from tests.model_server.scenario import FailureKind

JsonObject = dict[str, JsonValue]


@dataclass(frozen=True)
class Failure:
    """An error to answer with. A given `message` replaces the provider's usual one."""

    kind: FailureKind
    retry_after_seconds: int | None = None
    message: str = ""


class WireProtocol(Protocol):
    """One provider's protocol; a module with these names is one."""

    NAME: str

    def serves(self, path: str) -> bool:
        """Whether requests for a model's words come in at this path."""
        ...

    def read_request(self, path: str, body: bytes) -> ModelRequest:
        """The request in neutral form; raises pydantic's `ValidationError` for one that is not of this protocol."""
        ...

    def whole_reply(self, reply: Reply) -> JsonObject:
        """The answer to a request that did not ask for a stream."""
        ...

    def reply_events(self, reply: Reply) -> Iterator[str]:
        """The answer as server-sent events, the first of which says nothing yet."""
        ...

    def failure_reply(self, failure: Failure) -> tuple[int, JsonObject]:
        """HTTP status and body of a refused request."""
        ...

    def failure_event(self, failure: Failure) -> str:
        """The event that reports a failure in the middle of a stream."""
        ...


class Incoming(BaseModel):
    """Base of the models that requests are read with: they name what matters here, and CLIs send much more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def server_sent_event(data: Mapping[str, JsonValue] | str, *, event: str = "") -> str:
    """One event of a stream."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


def joined_text(content: JsonValue) -> str:
    """All text in a protocol's content: a string, a block with text in it, or any nesting of lists of those."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(text for item in content if (text := joined_text(item)))
    if isinstance(content, dict):
        return next((joined_text(content[key]) for key in ("text", "content", "output") if key in content), "")
    return ""
