"""Judges an aider call by the events that aider logs among its words.

An answer of the model stands between the event that it was asked and the event that it answered, so nothing that it
says counts as aider's own words; and its events carry the session's id, which the model is never told.
"""

import re
from collections import deque
from typing import Annotated

from pydantic import Field

from graftline.agents.backend import PROGRESS_CHARS, Progress
from graftline.agents.events import Count, Dollars, Event, Unsure, build_event, read_object
from graftline.agents.evidence import classify_refusal
from graftline.agents.last_message import bounded_message, declared_no_change
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.agents.verdict import DETAIL_CHARS, judge_cut_short
from graftline.process import ProcessResult
from graftline.text import plain_end, plain_line

MAX_LINES = 5_000
COMPLETED = "Completed --message-file"
_VERSION = re.compile(r"^Aider v(\d\S*)$")
_MODEL = re.compile(r"^(?:Main model|Model): (\S+) with ")
_USED = re.compile(r"^Tokens: .* sent, .* received\.")
_WAITING = re.compile(r"^Retrying in [\d.]+ seconds\.\.\.$")
_EXHAUSTED = re.compile(r"^Model \S+ has hit a token limit!$")
_GAVE_UP = re.compile(r"^Only \d+ reflections allowed, stopping\.$")
_UNFIT = "The LLM did not conform to the edit format."
_ERROR = re.compile(r"litellm\.(\w+):")
# By the name of its exception, as litellm itself maps a status to it.
_STATUS = {
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "Timeout": 408,
    "RateLimitError": 429,
    "InternalServerError": 500,
    "APIConnectionError": 502,
    "BadGatewayError": 502,
    "ServiceUnavailableError": 503,
}


class Logged(Event):
    """Any event of the log; `user_id` is what its writer was told to call itself."""

    user_id: str = ""


class Asked(Logged):
    """The model is asked."""


class AnswerProperties(Event):
    """What a request used; the cost is 0 where aider knows no price."""

    prompt_tokens: Annotated[Count | None, Unsure] = None
    completion_tokens: Annotated[Count | None, Unsure] = None
    cost: Annotated[Dollars | None, Unsure] = None


class Answered(Logged):
    """The model has answered."""

    properties: AnswerProperties = Field(default_factory=AnswerProperties)


class ExitProperties(Event):
    """Why aider ends."""

    reason: str = ""


class Exit(Logged):
    """aider ends by itself."""

    properties: ExitProperties = Field(default_factory=ExitProperties)


_EVENTS: dict[object, type[Event]] = {"message_send_starting": Asked, "message_send": Answered, "exit": Exit}


class AiderTranscript:
    """Reads one call's output; `session` is the id that its events carry, any when it is empty."""

    def __init__(self, session: str = "") -> None:
        self._session = session
        self._version = ""
        self._model = ""
        self._is_asking = False
        self._answers: list[AnswerProperties] = []
        self._answer = ""
        self._exit = ""
        self._waiting = ""
        self._is_within_edit = False
        # Since the last event, or the last try; an answer's without its edits.
        self._lines: deque[str] = deque(maxlen=MAX_LINES)

    def read(self, line: str) -> Progress | None:
        """Take one line; what the model answers and what aider does with it are progress."""
        found = read_object(line)
        if "event" in found and self._session in ("", found.get("user_id")):
            self._take(build_event(found, _EVENTS, "event"))
            return None
        if not self._answers and not self._is_asking:
            self._read_announcement(line)
            return None
        if self._is_asking and line.startswith("```"):
            self._is_within_edit = not self._is_within_edit
            return None
        if self._is_within_edit:
            return None
        return self._read_words(line)

    def outcome(self, result: ProcessResult) -> AgentOutcome:
        """Judge the call by its last event and what aider said after it."""
        kind, detail = self._judge(result)
        message = bounded_message(self._answer)
        return AgentOutcome(
            kind=kind,
            detail=plain_end(detail, DETAIL_CHARS),
            last_message=message,
            declared_no_change=declared_no_change(message),
            usage=self._usage(),
            version=self._version,
            model=self._model,
            session_id=self._session,
            exit_status=result.status,
        )

    def _take(self, event: Event | None) -> None:
        match event:
            case Asked():
                self._is_asking = True
            case Answered():
                self._is_asking = False
                self._answers.append(event.properties)
                used = max((number for number, line in enumerate(self._lines) if _USED.match(line)), default=None)
                self._answer = "\n".join(list(self._lines)[:used])
            case Exit():
                # What it said before it ended stays: it may say why.
                self._exit = event.properties.reason
                return
            case _:
                return
        self._waiting, self._is_within_edit = "", False
        self._lines.clear()

    def _read_announcement(self, line: str) -> None:
        if found := _VERSION.match(line):
            self._version = found[1]
        elif found := _MODEL.match(line):
            self._model = found[1]

    def _read_words(self, line: str) -> Progress | None:
        if _WAITING.match(line):
            self._waiting = self._refusal()
            self._lines.clear()
            return Progress(plain_line(f"waiting: {self._waiting}", PROGRESS_CHARS))
        self._lines.append(line[:DETAIL_CHARS])
        if not line.strip():
            return None
        said = line if self._is_asking else ""
        return Progress(plain_line(line, PROGRESS_CHARS), said=said, error=line if line == _UNFIT else "")

    def _judge(self, process: ProcessResult) -> tuple[OutcomeKind, str]:
        if self._exit != COMPLETED:
            waiting = f"it was waiting for its provider: {self._waiting}" if self._waiting else ""
            return judge_cut_short(process, waiting=waiting or self._exit)
        said = [line for line in self._lines if line.strip()]
        if self._is_asking or not self._answers:
            # No answer came, so these words are aider's own.
            text = self._refusal()
            name = _ERROR.match(text)
            refusal = classify_refusal(status=_STATUS.get(name[1]) if name else None, code="", text=text)
            return refusal or OutcomeKind.FAILED, text or "the model gave no answer"
        if said and _EXHAUSTED.match(said[0]):
            return OutcomeKind.CONTEXT_EXHAUSTED, said[0]
        if said and _GAVE_UP.match(said[-1]):
            return (
                OutcomeKind.FAILED,
                "the model's edits do not fit the files, and aider gave up asking for better ones",
            )
        return OutcomeKind.OK, ""

    def _refusal(self) -> str:
        """The provider's last error in one sentence; aider breaks it into lines."""
        words = " ".join(line.strip() for line in self._lines if line.strip())
        return words[max(words.rfind("litellm."), 0) :]

    def _usage(self) -> Usage:
        if not self._answers:
            return Usage()
        costs = [answer.cost for answer in self._answers]
        return Usage(
            # Nothing is free: a cost of 0 says that aider knows no price.
            cost_usd=sum(cost or 0.0 for cost in costs) or None,
            input_tokens=sum(answer.prompt_tokens or 0 for answer in self._answers),
            output_tokens=sum(answer.completion_tokens or 0 for answer in self._answers),
            turns=len(self._answers),
        )
