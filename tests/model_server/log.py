"""The record of every request, which tests read and wait on."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby

from tests.model_server.conversation import ModelRequest, Role
from tests.model_server.scenario import TokenUsage


class Ending(StrEnum):
    """How far a request got."""

    OPEN = "open"
    HANGING = "hanging"
    ANSWERED = "answered"
    FAILED = "failed"
    DROPPED = "dropped"
    STREAM_FAILED = "stream-failed"
    CLIENT_GONE = "client-gone"
    SERVER_CLOSED = "server-closed"


@dataclass(frozen=True)
class RequestRecord:
    """One request and what became of it.

    `scenario` is empty when no scenario answered: then it was a side request, or the default's. `usage` is what the
    answer said was used, None when no whole answer went out; `status` is the HTTP status, None when none was sent.
    """

    protocol: str
    namespace: str
    api_key: str
    request: ModelRequest
    scenario: str = ""
    turn: int = 0
    ending: Ending = Ending.OPEN
    failure_status: int | None = None
    usage: TokenUsage | None = None

    @property
    def text(self) -> str:
        """All that was said to the model, system prompt and tool results included."""
        return "\n".join(item.text for item in self.request.items)

    @property
    def last_tool_result(self) -> str:
        """What the latest tool calls returned, or nothing; some protocols send one item per call."""
        runs = groupby(self.request.items, key=lambda item: item.role)
        results = ["\n".join(item.text for item in items) for role, items in runs if role is Role.TOOL]
        return results[-1] if results else ""


class RequestLog:
    """All requests so far, in order of arrival; safe for many threads."""

    def __init__(self) -> None:
        self._records: list[RequestRecord] = []
        self._changed = threading.Condition()

    def add(self, record: RequestRecord) -> int:
        """Note an arrival; returns the number by which to update it."""
        with self._changed:
            self._records.append(record)
            self._changed.notify_all()
            return len(self._records) - 1

    def update(
        self, number: int, ending: Ending, *, failure_status: int | None = None, usage: TokenUsage | None = None
    ) -> None:
        """Note how far a request got."""
        with self._changed:
            self._records[number] = replace(
                self._records[number], ending=ending, failure_status=failure_status, usage=usage
            )
            self._changed.notify_all()

    def records(self) -> tuple[RequestRecord, ...]:
        """Every request so far."""
        with self._changed:
            return tuple(self._records)

    def wait_for(self, condition: Callable[[RequestRecord], bool], *, timeout_seconds: float) -> RequestRecord:
        """The first record that meets the condition, as soon as there is one; raises `TimeoutError`."""
        with self._changed:
            if self._changed.wait_for(lambda: any(map(condition, self._records)), timeout_seconds):
                return next(filter(condition, self._records))
            seen = "\n".join(f"  {record.namespace}#{record.turn} {record.ending}" for record in self._records)
        raise TimeoutError(f"no such request within {timeout_seconds} s; requests so far:\n{seen or '  none'}")
