"""Judges a call of OpenCode: there is no final event, so its last step has to say it stopped, and its exit status 0."""

import math
import re

from graftline.agents.backend import PROGRESS_CHARS, Progress
from graftline.agents.evidence import classify_refusal
from graftline.agents.last_message import bounded_message, declared_no_change
from graftline.agents.opencode_events import (
    Failure,
    FailureData,
    Said,
    StepFinish,
    StepPart,
    Tokens,
    ToolPart,
    ToolUse,
    Trouble,
    parse_event,
)
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.agents.tool_calls import call_signature, describe_call
from graftline.agents.verdict import ENDED_BY_US, judge_cut_short
from graftline.process import ProcessResult
from graftline.text import plain_end, plain_line

DETAIL_CHARS = 2_000
_BY_NAME = {
    "ContextOverflowError": OutcomeKind.CONTEXT_EXHAUSTED,
    "ProviderAuthError": OutcomeKind.AUTH,
    "ProviderModelNotFoundError": OutcomeKind.CONFIG,
    "MessageAbortedError": OutcomeKind.INTERRUPTED,
}
_CODE = re.compile(r'"code": ?"([a-z_]{1,60})"')


class OpenCodeTranscript:
    """Reads one call's JSON events; `model` is the one that was asked for, which they do not name."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._session_id = ""
        self._steps: list[StepPart] = []
        self._is_over = False
        self._trouble: Failure | None = None
        self._overcome: Failure | None = None
        self._last_text = ""

    def read(self, line: str) -> Progress | None:
        """Take one line; what the agent says, and its tool calls as they end, are progress."""
        event = parse_event(line)
        if event is None:
            return None
        self._session_id = self._session_id or event.session_id
        # The summary of a session that outgrew its model stops too; then it goes on.
        self._is_over = isinstance(event, StepFinish) and event.part.reason == "stop"
        match event:
            case Said(part=part) if part.text.strip() and not part.synthetic:
                self._last_text = part.text
                return Progress(plain_line(part.text, PROGRESS_CHARS), said=part.text)
            case ToolUse(part=part):
                return _describe(part)
            case StepFinish(part=part):
                self._steps.append(part)
                self._trouble, self._overcome = None, self._trouble or self._overcome
            case Trouble(error=failure):
                self._trouble = failure
        return None

    def outcome(self, result: ProcessResult) -> AgentOutcome:
        """Judge the call by its last step and error; where neither says anything, by how it was cut short."""
        kind, detail = self._judge(result)
        message = bounded_message(self._last_text)
        return AgentOutcome(
            kind=kind,
            detail=plain_end(detail, DETAIL_CHARS),
            last_message=message,
            declared_no_change=declared_no_change(message),
            usage=_usage(self._steps),
            model=self._model,
            session_id=self._session_id,
            exit_status=result.status,
        )

    def _judge(self, process: ProcessResult) -> tuple[OutcomeKind, str]:
        if self._trouble is not None:
            return self._judge_trouble(self._trouble, process)
        if self._is_over:
            # It may hang on when all is said; then it is we who end it.
            if process.status == 0 or process.ending in ENDED_BY_US:
                return OutcomeKind.OK, ""
            if process.status == 1 and self._overcome is not None:  # it keeps count of errors, not of how they ended
                return OutcomeKind.OK, f"it got over an error: {_sentence(self._overcome)}"
        reason = self._steps[-1].reason if self._steps else ""
        if reason in ("", "stop", "tool-calls") or process.status != 0:
            return judge_cut_short(process)
        return OutcomeKind.FAILED, f"the model's last answer ended for the reason {reason!r}"

    def _judge_trouble(self, trouble: Failure, process: ProcessResult) -> tuple[OutcomeKind, str]:
        data = trouble.data or FailureData()
        code = _CODE.search(data.body or "")
        words = f"{data.message} {code[1]}" if code else data.message
        kind = _BY_NAME.get(trouble.name) or classify_refusal(status=data.status, code="", text=words)
        if kind in (None, OutcomeKind.INTERRUPTED) and process.ending in ENDED_BY_US:
            return judge_cut_short(process)
        return kind or OutcomeKind.FAILED, _sentence(trouble)


def _sentence(trouble: Failure) -> str:
    return (trouble.data.message if trouble.data is not None else "") or trouble.name or "an error without a name"


def _describe(part: ToolPart) -> Progress:
    state = part.state
    values = state.input or {}
    failed = bool(state.metadata and state.metadata.exit)
    return Progress(
        describe_call(part.tool, values),
        command=call_signature(part.tool, values),
        error=state.error or (state.output or "" if failed else ""),
    )


def _usage(steps: list[StepPart]) -> Usage:
    """The sum of all steps. A cost of nothing is none at all: so it is told where the model has no price."""
    if not steps:
        return Usage()
    used = [step.tokens or Tokens() for step in steps]
    return Usage(
        cost_usd=math.fsum(step.cost or 0.0 for step in steps) or None,
        input_tokens=sum(tokens.input + tokens.cache.write for tokens in used),
        output_tokens=sum(tokens.output + tokens.reasoning for tokens in used),
        cached_tokens=sum(tokens.cache.read for tokens in used),
        turns=len(steps),
    )
