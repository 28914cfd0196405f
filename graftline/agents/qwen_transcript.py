"""Judges a Qwen Code call by its final event and the CLI's own words, never by the text of a model or a tool."""

import re
from dataclasses import replace

from graftline.agents.backend import Assignment, Progress
from graftline.agents.claude_events import ToolResults
from graftline.agents.evidence import classify_refusal
from graftline.agents.last_message import bounded_message, declared_no_change
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.agents.qwen_events import Assistant, Init, Result, TokenUsage, parse_event
from graftline.agents.session_usage import split_usage, total_usage
from graftline.agents.stream_json import read_message, read_results, texts_of
from graftline.agents.verdict import DETAIL_CHARS, ENDED_BY_US, judge_cut_short
from graftline.process import ProcessResult
from graftline.text import plain_end

# Its exit status for a reached turn limit; of that it prints no final event.
TURN_LIMIT_STATUS = 53
# How the CLI words a failed request: where it has been cut off, behind what the model had said.
_API_ERROR = "[API Error: "
_STATUS = re.compile(r"\[API Error: (\d{3})\b")


class QwenTranscript:
    """Reads one call's `stream-json` output."""

    def __init__(self, assignment: Assignment) -> None:
        self._session = assignment.session
        self._init: Init | None = None
        self._result: Result | None = None
        self._api_error = ""
        self._last_text = ""

    def read(self, line: str) -> Progress | None:
        """Take one line; what the agent says and the tools it calls are progress."""
        event = parse_event(line)
        match event:
            case Init():
                self._init = event
            case Assistant():
                self._read_assistant(event)
                return read_message(event.message)
            case ToolResults():
                return read_results(event)
            case Result():
                self._result = event
        return None

    def outcome(self, result: ProcessResult) -> AgentOutcome:
        """Judge the call by its final event; without one, by how it was cut short."""
        kind, detail = self._judge(result)
        message = bounded_message(self._last_text)
        init = self._init or Init()
        usage, session_usage = split_usage(self._totals(), self._session)
        return AgentOutcome(
            kind=kind,
            detail=plain_end(detail, DETAIL_CHARS),
            last_message=message,
            declared_no_change=declared_no_change(message),
            usage=replace(usage, turns=self._result.num_turns if self._result is not None else None),
            version=init.qwen_code_version,
            model=init.model,
            session_id=init.session_id,
            session_usage=session_usage,
            exit_status=result.status,
        )

    def _read_assistant(self, event: Assistant) -> None:
        # What a subagent says or meets is its own; the agent that called it decides what to make of it.
        if event.parent_tool_use_id is not None:
            return
        text = "\n".join(texts_of(event.message))
        by_a_model = event.message.usage is not None and event.message.usage.output_tokens > 0
        begin = -1 if by_a_model else text.rfind(_API_ERROR)
        self._api_error = text[begin:] if begin >= 0 else ""
        if text and not self._api_error:
            self._last_text = text

    def _judge(self, process: ProcessResult) -> tuple[OutcomeKind, str]:
        final = self._result
        if final is None:
            return self._judge_cut_short(process)
        denied = sorted({denial.tool_name for denial in final.permission_denials or ()})
        denial = f"not allowed to use {', '.join(denied)}" if denied else ""
        # Up to 0.15 the CLI calls a failed request a success, and exits with 0.
        if not final.is_error and not self._api_error:
            return OutcomeKind.OK, denial
        sentence = (final.error.message if final.error is not None else "") or self._api_error or final.result or ""
        status = _STATUS.search(sentence)
        kind = classify_refusal(status=int(status[1]) if status else None, code="", text=sentence)
        if kind is None and process.ending in ENDED_BY_US:
            return self._judge_cut_short(process)
        unclear = OutcomeKind.PERMISSION_DENIED if denied else OutcomeKind.FAILED
        return kind or unclear, sentence or denial or "the call failed; Qwen Code gave no reason"

    def _judge_cut_short(self, process: ProcessResult) -> tuple[OutcomeKind, str]:
        if process.status == TURN_LIMIT_STATUS:
            return OutcomeKind.MAX_TURNS, process.stderr_tail or "the turn limit was reached"
        # From the first event on, stderr tells what the agent's tools were given.
        return judge_cut_short(process, own_words=None if self._init is None else "")

    def _totals(self) -> Usage | None:
        told = self._result.usage if self._result is not None else TokenUsage()
        # A call that failed says 0, whatever it used.
        if not told.input_tokens and not told.output_tokens:
            return None
        return total_usage(
            input_tokens=told.input_tokens,
            cached_tokens=told.cache_read_input_tokens,
            output_tokens=told.output_tokens,
        )
