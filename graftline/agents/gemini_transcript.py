"""Judges a call of the Gemini CLI by its final event, never by its exit status alone or the text of a tool."""

import re
from typing import Annotated

from graftline.agents.backend import PROGRESS_CHARS, Progress
from graftline.agents.events import Count, Event, Unsure, read_event
from graftline.agents.evidence import classify_refusal
from graftline.agents.last_message import bounded_message, declared_no_change
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.agents.tool_calls import call_signature, describe_call
from graftline.agents.verdict import DETAIL_CHARS, ENDED_BY_US, judge_cut_short
from graftline.process import Ending, ProcessResult
from graftline.text import plain_end, plain_line

# What the CLI itself found wrong, as the error of its final event, or as its exit status where it came to none.
_BY_TYPE = {
    "FatalAuthenticationError": OutcomeKind.AUTH,
    "FatalInputError": OutcomeKind.CONFIG,
    "FatalSandboxError": OutcomeKind.CONFIG,
    "FatalConfigError": OutcomeKind.CONFIG,
    "FatalTurnLimitedError": OutcomeKind.MAX_TURNS,
    "FatalCancellationError": OutcomeKind.INTERRUPTED,
}
_BY_EXIT_STATUS = {
    41: OutcomeKind.AUTH,
    44: OutcomeKind.CONFIG,
    52: OutcomeKind.CONFIG,
    53: OutcomeKind.MAX_TURNS,
    55: OutcomeKind.CONFIG,
}
# It exits with the HTTP status of the last refusal, of which the system keeps the lowest eight bits.
_HTTP_STATUS = {status & 0xFF: status for status in (401, 402, 403, 404, 408, 429, 500, 502, 503, 504)}
# With a time to come back, what Google calls a quota is a limit per minute and no question of money.
_COMES_BACK = re.compile(r"(Suggested retry after|Please retry in) \d")
_TOOL_FAILURE = "Error executing tool"
_LOOP = "Loop detected"


class Init(Event):
    """The first event: which model and session."""

    session_id: str = ""
    model: str = ""


class Message(Event):
    """A piece of what the model says, or the prompt."""

    role: str = ""
    content: str = ""


class ToolUse(Event):
    """A tool that the model calls."""

    tool_name: str = ""
    parameters: Annotated[dict[str, object] | None, Unsure] = None


class Failure(Event):
    """What went wrong, in a tool or in the call as a whole."""

    type: str = ""
    message: str = ""


class ToolResult(Event):
    """What came of a tool call."""

    error: Annotated[Failure | None, Unsure] = None


class Trouble(Event):
    """What the CLI says went wrong on its way; not final by itself."""

    severity: str = ""
    message: str = ""


class ModelStats(Event):
    """What one model was used for in this call."""

    total_tokens: Count = 0


class Stats(Event):
    """The CLI's own account; `input` is what was not cached of `input_tokens`."""

    total_tokens: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cached: Count = 0
    input: Annotated[Count | None, Unsure] = None
    models: Annotated[dict[str, ModelStats] | None, Unsure] = None


class Result(Event):
    """The final event: the CLI's own verdict and account."""

    status: str
    error: Annotated[Failure | None, Unsure] = None
    stats: Annotated[Stats | None, Unsure] = None


_EVENTS: dict[object, type[Event]] = {
    "init": Init,
    "message": Message,
    "tool_use": ToolUse,
    "tool_result": ToolResult,
    "error": Trouble,
    "result": Result,
}


class GeminiTranscript:
    """Reads one call's `stream-json` output."""

    def __init__(self) -> None:
        self._init: Init | None = None
        self._result: Result | None = None
        self._trouble: Trouble | None = None
        self._is_answered = False
        self._pieces: list[str] = []
        self._last_text = ""

    def read(self, line: str) -> Progress | None:
        """Take one line; what the agent says, once it has said all of it, and the tools it calls are progress."""
        event = read_event(line, _EVENTS)
        match event:
            case Init():
                self._init = event
            case Message(role="assistant"):
                self._trouble = None
                self._is_answered = True
                self._pieces.append(event.content)
            case ToolUse():
                self._is_answered = False
                values = event.parameters or {}
                said = self._finish_message()
                return Progress(
                    plain_line(said, PROGRESS_CHARS) or describe_call(event.tool_name, values),
                    said=said,
                    command=call_signature(event.tool_name, values),
                )
            case ToolResult(error=Failure(message=message)):
                return Progress("", error=message)
            case Trouble() if event.severity == "error" or event.message.startswith(_LOOP):
                self._trouble = event
            case Result():
                self._result = event
                said = self._finish_message()
                return Progress(plain_line(said, PROGRESS_CHARS), said=said) if said else None
        return None

    def outcome(self, result: ProcessResult) -> AgentOutcome:
        """Judge the call by its final event; without one, by how it was cut short."""
        self._finish_message()
        final = self._result
        kind, detail = self._judge_cut_short(result) if final is None else self._judge(final, result)
        message = bounded_message(self._last_text)
        init = self._init or Init()
        return AgentOutcome(
            kind=kind,
            detail=plain_end(detail, DETAIL_CHARS),
            last_message=message,
            declared_no_change=declared_no_change(message),
            usage=_usage(final),
            model=_model(final) or init.model,
            session_id=init.session_id,
            exit_status=result.status,
        )

    def _finish_message(self) -> str:
        """What the agent has said since the last time, which came in pieces."""
        text = "".join(self._pieces).strip()
        self._pieces.clear()
        self._last_text = text or self._last_text
        return text

    def _judge(self, final: Result, process: ProcessResult) -> tuple[OutcomeKind, str]:
        trouble = self._trouble.message if self._trouble is not None else ""
        if final.status == "success" and not trouble:
            if self._is_answered:
                return OutcomeKind.OK, ""
            # With no room for the next request it makes none, and calls that a success.
            return (
                OutcomeKind.CONTEXT_EXHAUSTED,
                "it ended without an answer, as it does when a session outgrows its model",
            )
        failure = final.error or Failure()
        sentence = failure.message or trouble
        if sentence.startswith(_TOOL_FAILURE):  # what follows is the tool's own text
            return OutcomeKind.FAILED, sentence
        kind = _BY_TYPE.get(failure.type) or _classify(sentence, process.status)
        if kind in (None, OutcomeKind.INTERRUPTED) and process.ending in ENDED_BY_US:
            return self._judge_cut_short(process)
        return kind or OutcomeKind.FAILED, sentence or f"the CLI reports {final.status!r}"

    def _judge_cut_short(self, process: ProcessResult) -> tuple[OutcomeKind, str]:
        if self._init is None:
            if process.ending is Ending.EXITED and (kind := _BY_EXIT_STATUS.get(process.status)):
                return kind, process.stderr_tail or f"ended with status {process.status}"
            return judge_cut_short(process)
        if process.ending is Ending.EXITED and process.status == 0:
            return OutcomeKind.INTERRUPTED, "interrupted from outside (it ends with status 0 when told to end)"
        # By now tools may have written there.
        return judge_cut_short(process, own_words="")


def _classify(sentence: str, exit_status: int) -> OutcomeKind | None:
    """What a failed request means: its own status and words, where they say so, or else the CLI's exit status."""
    if _COMES_BACK.search(sentence):
        return OutcomeKind.RATE_LIMITED
    status = _status_in(sentence)
    return classify_refusal(status=status, code="", text=sentence) or classify_refusal(
        status=_HTTP_STATUS.get(exit_status), code="", text=""
    )


def _status_in(sentence: str) -> int | None:
    """The status in a response's body, which the CLI quotes in whole when it has no words of its own."""
    found = re.search(r'"code":\s?(\d{3})\b', sentence)
    return int(found[1]) if found else None


def _model(final: Result | None) -> str:
    """The model that did most of it; what was asked for may be an alias."""
    models = (final.stats.models if final is not None and final.stats is not None else None) or {}
    return max(models, key=lambda name: models[name].total_tokens, default="")


def _usage(final: Result | None) -> Usage:
    """The CLI's own account. Thoughts are paid as output, and counted in the total only."""
    stats = final.stats if final is not None else None
    if stats is None:
        return Usage()
    return Usage(
        input_tokens=max(stats.input_tokens - stats.cached, 0) if stats.input is None else stats.input,
        output_tokens=max(stats.output_tokens, stats.total_tokens - stats.input_tokens),
        cached_tokens=stats.cached,
    )
