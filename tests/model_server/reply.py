"""The model's answer in a form of no particular protocol."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from tests.model_server.scenario import Stop, TokenUsage


@dataclass(frozen=True)
class ToolCall:
    """One use of a tool the CLI offered; `freeform` is the whole input of a tool that takes plain text."""

    name: str
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)
    freeform: str | None = None
    namespace: str = ""
    id: str = field(default_factory=lambda: new_id("call"))


@dataclass(frozen=True)
class Reply:
    """What the model says and which tools it wants used."""

    model: str
    text: str
    calls: tuple[ToolCall, ...]
    usage: TokenUsage
    stop: Stop = "end"


def new_id(prefix: str) -> str:
    """An identifier that looks like a provider's own."""
    return f"{prefix}_{uuid.uuid4().hex[:24]}"
