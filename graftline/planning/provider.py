"""Whose model plans: what it is asked, what it answers, and how it refuses. One module per way to reach a model.

A provider makes one call and judges how it ended. `graftline.planning.asking` pays for it, waits and keeps the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import JsonValue

from graftline.agents.outcome import OutcomeKind, Usage
from graftline.budget import Payee
from graftline.process import OnStart

Stop = Literal["end", "length", "refused"]
"""Why a model stopped: it was done, it reached the limit on what it may write, or it would not answer."""


@dataclass(frozen=True)
class Message:
    """One thing said in a conversation with a model."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True)
class Question:
    """What a model is asked; the answer is to be one JSON object of the schema.

    `purpose` says what for ("plan", "critic", "patch"). `system` and the first message, which holds what there is to
    know of the repository, are the same from one question to the next: providers that can keep them do.
    """

    purpose: str
    system: str
    messages: tuple[Message, ...]
    schema: Mapping[str, JsonValue]
    schema_name: str
    max_output_tokens: int


@dataclass(frozen=True)
class Answer:
    """What a model answered: a JSON object, not validated beyond that, or why there is none in it.

    `problem` is a sentence that can go back to the model; it is empty when there is `data`. `text` is what it said, for
    the conversation to go on from. `version` is that of the CLI that was asked, if one was.
    """

    data: Mapping[str, JsonValue] | None
    text: str
    stop: Stop
    usage: Usage
    model: str
    version: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Refusal:
    """A call that no answer came of: what kind of end it was, by the words for ends of agents, and what was said.

    `retry_at` is when the provider said it would take requests again.
    """

    kind: OutcomeKind
    detail: str
    usage: Usage = field(default_factory=Usage)
    retry_at: datetime | None = None


class Provider(Payee, Protocol):
    """One way to reach a model that plans."""

    @property
    def type(self) -> Literal["anthropic", "openai", "agent"]:
        """What `[planner] provider` calls it."""
        ...

    @property
    def backend(self) -> str:
        """What the ledger calls it: for an agent CLI its backend type."""
        ...

    @property
    def profile(self) -> str:
        """The agent profile or type whose CLI is asked; empty for an API."""
        ...

    @property
    def model(self) -> str:
        """The model that is asked for; empty where a CLI chooses."""
        ...

    @property
    def host(self) -> str:
        """Who answers, by host name."""
        ...

    async def ask(
        self, question: Question, *, budget_usd: float | None, folder: Path, on_start: OnStart
    ) -> Answer | Refusal:
        """Make one call, without waiting for a provider that takes no requests now.

        `budget_usd` is for those that can keep to it. `folder` is the call's own, for what a CLI leaves; `on_start`
        gets the process of one.
        """
        ...
