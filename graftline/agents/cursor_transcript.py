"""Judges a call of the Cursor CLI by its events, as they are documented: much like those of Claude Code."""

from typing import Annotated

from pydantic import Field

from graftline.agents.backend import Progress
from graftline.agents.claude_events import Assistant, Init, Result
from graftline.agents.events import Event, Unsure, read_event
from graftline.agents.evidence import classify_refusal
from graftline.agents.last_message import bounded_message, declared_no_change
from graftline.agents.outcome import AgentOutcome, OutcomeKind
from graftline.agents.stream_json import read_message, texts_of
from graftline.agents.tool_calls import call_signature, describe_call
from graftline.agents.verdict import DETAIL_CHARS, judge_cut_short
from graftline.process import ProcessResult
from graftline.text import plain_end


class CalledTool(Event):
    """What a tool was called with; a tool's name is the key it stands under."""

    args: Annotated[dict[str, object] | None, Unsure] = None


class ToolCall(Event):
    """A tool call begins, or is over."""

    subtype: str = ""
    tool_call: Annotated[dict[str, CalledTool] | None, Unsure] = Field(default=None)


_EVENTS: dict[object, type[Event]] = {
    "system": Init,
    "assistant": Assistant,
    "tool_call": ToolCall,
    "result": Result,
}


class CursorTranscript:
    """Reads one call's `stream-json` output."""

    def __init__(self) -> None:
        self._init = Init()
        self._result: Result | None = None
        self._last_text = ""

    def read(self, line: str) -> Progress | None:
        """Take one line; what the agent says and the tools it calls are progress."""
        match read_event(line, _EVENTS):
            case Init() as init:
                self._init = init
            case Assistant() as said:
                self._last_text = next(reversed(texts_of(said.message)), self._last_text)
                return read_message(said.message)
            case ToolCall(subtype="started", tool_call=calls) if calls:
                name, called = next(iter(calls.items()))
                tool, values = name.removesuffix("ToolCall"), called.args or {}
                return Progress(describe_call(tool, values), command=call_signature(tool, values))
            case Result() as result:
                self._result = result
        return None

    def outcome(self, result: ProcessResult) -> AgentOutcome:
        """Judge the call by its final event; on failure there is none, and the reason is on stderr."""
        final = self._result
        kind, detail = judge_cut_short(result) if final is None else _judge(final)
        said = final.result if final is not None and final.succeeded else None
        message = bounded_message(said or self._last_text)
        return AgentOutcome(
            kind=kind,
            detail=plain_end(detail, DETAIL_CHARS),
            last_message=message,
            declared_no_change=declared_no_change(message),
            model=self._init.model,
            session_id=self._init.session_id or (final.session_id if final is not None else None) or "",
            exit_status=result.status,
        )


def _judge(final: Result) -> tuple[OutcomeKind, str]:
    if final.succeeded:
        return OutcomeKind.OK, ""
    text = final.result or final.subtype
    return classify_refusal(status=None, code="", text=text) or OutcomeKind.FAILED, text
