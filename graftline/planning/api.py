"""What the providers have in common that are reached by an API: how an answer comes in, or does not."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from graftline.agents.backend import Capabilities
from graftline.agents.evidence import classify_refusal
from graftline.agents.outcome import OutcomeKind, Usage
from graftline.agents.provider import host_of
from graftline.agents.retry_time import LONGEST, retry_time
from graftline.agents.verdict import DETAIL_CHARS
from graftline.planning.answer import MAX_CHARS, read_answer
from graftline.planning.provider import Answer, Question, Refusal, Stop
from graftline.process import OnStart
from graftline.settings import TimeoutSettings
from graftline.text import plain_end

FREE = Usage(cost_usd=0.0, input_tokens=0, output_tokens=0)
"""What a request used that a provider refused before it began to answer."""
CONNECT_SECONDS = 30.0
SECRET_CHARS = 8
"""What is shorter is no secret, but what a local server is given because it has to be given something."""


@dataclass
class Heard:
    """What has come in of an answer so far; `model` is the one that was asked for until the provider names its own."""

    model: str
    usage: Usage = field(default_factory=Usage)
    stop: Stop | None = None
    has_begun: bool = False
    _parts: list[str] = field(default_factory=list)
    _size: int = 0

    @property
    def is_too_long(self) -> bool:
        """Whether to stop listening: more than this nobody reads."""
        return self._size > MAX_CHARS

    def add(self, text: str) -> None:
        """Take another piece."""
        self._parts.append(text)
        self._size += len(text)

    def concluded(self, question: Question) -> Answer | Refusal:
        """What was answered, now that nothing more comes."""
        if self.stop is None and not self.is_too_long:
            if self.has_begun:
                return broken_off("the answer ended before it was complete", heard=self)
            text = "what answered does not speak this API: look at the address, `base_url`"
            return Refusal(OutcomeKind.CONFIG, text, FREE)
        text = "".join(self._parts)
        return read_answer(question, text, stop=self.stop or "length", usage=self.usage, model=self.model)


class ApiProvider(ABC):
    """What these providers are alike in: one request, streamed, so that slow is told from silent."""

    profile = ""
    call_cost_usd: float | None = None
    capabilities = Capabilities()

    def __init__(self, *, model: str, base_url: str, secret: str, timeouts: TimeoutSettings) -> None:
        self.model = model
        self._secret = secret
        self.host = host_of(base_url, base_url)
        self._base_url = base_url
        self._timeouts = timeouts

    async def ask(
        self, question: Question, *, budget_usd: float | None, folder: Path, on_start: OnStart
    ) -> Answer | Refusal:
        """One answer; a server that does not take part of the request is asked again at once, without it."""
        del budget_usd, folder, on_start  # these APIs know no such limit, and there is no process
        try:
            async with asyncio.timeout(self._timeouts.task_seconds):
                answer = await self._ask(question)
                while self._does_without(answer):
                    answer = await self._ask(question)
                return self._without_secret(answer)
        except TimeoutError:
            detail = f"no complete answer within {self._timeouts.task_seconds:.0f} s ([timeouts] task_seconds)"
            return Refusal(OutcomeKind.TIMED_OUT, detail)

    @abstractmethod
    async def _ask(self, question: Question) -> Answer | Refusal:
        """Make one request."""

    def _without_secret(self, answer: Answer | Refusal) -> Answer | Refusal:
        """A refusal without the key, which some servers repeat in it: it is shown, and kept in the journal."""
        if isinstance(answer, Answer) or len(self._secret) < SECRET_CHARS:
            return answer
        return replace(answer, detail=answer.detail.replace(self._secret, "[key]"))

    def _does_without(self, answer: Answer | Refusal) -> bool:
        """Whether something in the request was refused that it can do without, and from now on does."""
        return isinstance(answer, Refusal) and answer.kind is OutcomeKind.FAILED and self._leaves_out(answer.detail)

    @abstractmethod
    def _leaves_out(self, words: str) -> bool:
        """Leave out what an error is about; False when there is nothing of it left to leave out."""


def refused(status: int, text: str, headers: Mapping[str, str]) -> Refusal:
    """A request that was answered with an error; providers ask no money for these."""
    kind = classify_refusal(status=status, code="", text=text)
    if kind is None:
        kind = OutcomeKind.OVERLOADED if status >= 500 else OutcomeKind.FAILED
    return Refusal(kind, plain_end(f"HTTP {status}: {text}", DETAIL_CHARS), FREE, _retry_at(headers, text))


def broken_off(text: str, *, heard: Heard | None) -> Refusal:
    """A connection that was not made, or did not last; without `heard` no answer can have begun, or been paid for."""
    kind = classify_refusal(status=None, code="", text=text) or OutcomeKind.TRANSIENT
    usage = FREE if heard is None else Usage()
    return Refusal(kind, plain_end(text, DETAIL_CHARS), usage, retry_time(text, datetime.now(UTC)))


def unreachable(error: Exception) -> Refusal:
    """A set-up with which no request can be made: an address that is none, a proxy that nobody knows how to use."""
    return Refusal(OutcomeKind.CONFIG, plain_end(f"no request can be made: {error}", DETAIL_CHARS), FREE)


def garbled(error: Exception) -> Refusal:
    """An answer of a shape that no server of the API sends: asking again would bring the same."""
    return Refusal(OutcomeKind.FAILED, plain_end(f"what came in is not an answer of this API: {error}", DETAIL_CHARS))


def count(value: object) -> int | None:
    """A number of tokens; the libraries hand on whatever a server sends for one."""
    return value if isinstance(value, int) and value >= 0 else None


def words_of(body: object, otherwise: str) -> str:
    """What an error says, as providers put it: a kind, a code and a sentence."""
    inner = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(inner, dict):
        return otherwise
    words = [word for key in ("type", "code", "message") if isinstance(word := inner.get(key), str) and word]
    return ": ".join(words) or otherwise


def _retry_at(headers: Mapping[str, str], text: str) -> datetime | None:
    """When the provider takes requests again, by its header (a number of seconds, or a date) or by what it says."""
    now = datetime.now(UTC)
    named = headers.get("retry-after", "")
    try:
        at = now + timedelta(seconds=float(named))
    except (ValueError, OverflowError):
        try:
            at = parsedate_to_datetime(named)
        except (ValueError, TypeError):
            return retry_time(text, now)
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at if now <= at <= now + LONGEST else None
