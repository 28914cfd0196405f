"""Judges a Claude Code call by its events: the CLI's own verdict, never its exit status or the text of a tool."""

from graftline.agents.backend import PROGRESS_CHARS, Progress
from graftline.agents.claude_events import (
    Assistant,
    Init,
    ModelUsage,
    RateLimit,
    Result,
    Retry,
    ToolResults,
    parse_event,
)
from graftline.agents.evidence import classify_refusal
from graftline.agents.last_message import bounded_message, declared_no_change
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.agents.stream_json import read_message, read_results, texts_of
from graftline.agents.verdict import DETAIL_CHARS, ENDED_BY_US, judge_cut_short
from graftline.process import ProcessResult
from graftline.text import plain_end, plain_line

_BY_REASON = {
    "prompt_too_long": OutcomeKind.CONTEXT_EXHAUSTED,
    "max_turns": OutcomeKind.MAX_TURNS,
    "budget_exhausted": OutcomeKind.BUDGET,
}
_BY_SUBTYPE = {"error_max_turns": OutcomeKind.MAX_TURNS, "error_max_budget_usd": OutcomeKind.BUDGET}


class ClaudeTranscript:
    """Reads one call's `stream-json` output."""

    def __init__(self) -> None:
        self._init = Init()
        self._result: Result | None = None
        self._waiting: Retry | None = None
        self._limit: RateLimit | None = None
        self._error_code = ""
        self._last_text = ""

    def read(self, line: str) -> Progress | None:
        """Take one line; what the agent says, the tools it calls and the waits of the CLI are progress."""
        event = parse_event(line)
        if event is None:
            return None
        self._waiting = event if isinstance(event, Retry) else None
        match event:
            case Init():
                self._init = event
            case Retry():
                cause = f"{event.error or 'error'} ({event.error_status or 'no status'})"
                return Progress(
                    plain_line(f"waiting: {cause}, try {event.attempt}/{event.max_retries}", PROGRESS_CHARS)
                )
            case RateLimit():
                self._limit = event
            case Assistant():
                return self._read_assistant(event)
            case ToolResults():
                return read_results(event)
            case Result():
                self._result = event
        return None

    def outcome(self, result: ProcessResult) -> AgentOutcome:
        """Judge the call by its final event; without one, by how it was cut short."""
        final = self._result
        kind, detail = self._judge_cut_short(result) if final is None else self._judge(final, result)
        said = final.result if final is not None and final.succeeded else None
        answer = said or self._last_text
        message = bounded_message(answer)
        models = (final.model_usage if final is not None else None) or {}
        return AgentOutcome(
            kind=kind,
            detail=plain_end(detail, DETAIL_CHARS),
            last_message=message,
            answer=answer,
            declared_no_change=declared_no_change(message),
            usage=_usage(final, models),
            version=self._init.claude_code_version,
            model=self._init.model or next(iter(models), ""),
            session_id=self._init.session_id or (final.session_id if final is not None else None) or "",
            retry_at=self._limit.lifts_at if self._limit and kind is OutcomeKind.RATE_LIMITED else None,
            exit_status=result.status,
        )

    def _read_assistant(self, event: Assistant) -> Progress | None:
        # What a subagent says or meets is its own; the agent that called it decides what to make of it.
        if event.parent_tool_use_id is None:
            self._error_code = event.error or ""
            if not event.error:
                self._last_text = next(reversed(texts_of(event.message)), self._last_text)
        return read_message(event.message)

    def _judge(self, final: Result, process: ProcessResult) -> tuple[OutcomeKind, str]:
        denied = sorted({denial.tool_name for denial in final.permission_denials or ()})
        denial = f"not allowed to use {', '.join(denied)}" if denied else ""
        if final.succeeded:
            return OutcomeKind.OK, denial
        sentence = "\n".join(text for text in (final.result, *(final.errors or ())) if text)
        reason = final.terminal_reason or ""
        kind = (
            _BY_REASON.get(reason)
            or classify_refusal(status=final.api_error_status, code=self._error_code, text=sentence)
            or _BY_SUBTYPE.get(final.subtype)
        )
        if kind is None and process.ending in ENDED_BY_US:
            return self._judge_cut_short(process)
        if kind is None and reason.startswith("aborted"):
            return OutcomeKind.INTERRUPTED, f"interrupted from outside ({reason})"
        unclear = OutcomeKind.PERMISSION_DENIED if denied else OutcomeKind.FAILED
        return kind or unclear, sentence or denial or f"{final.subtype} {reason}".strip()

    def _judge_cut_short(self, process: ProcessResult) -> tuple[OutcomeKind, str]:
        waiting = self._waiting
        cause = f"it was waiting for its provider: {waiting.error} ({waiting.error_status})" if waiting else ""
        if waiting is not None and waiting.error_status in (401, 403):
            # The CLI goes on asking for minutes; whoever ended it, another attempt would meet the same.
            return OutcomeKind.AUTH, f"the provider refused the credentials: {waiting.error} ({waiting.error_status})"
        return judge_cut_short(process, waiting=cause, code=self._error_code)


def _usage(final: Result | None, models: dict[str, ModelUsage]) -> Usage:
    """The CLI's own account; `usage` beside it is empty after a fallback to plain requests, `modelUsage` is not."""
    if final is None:
        return Usage()
    if not models:
        return Usage(cost_usd=final.total_cost_usd, turns=final.num_turns)
    return Usage(
        cost_usd=final.total_cost_usd,
        input_tokens=sum(used.input_tokens + used.cache_creation_tokens for used in models.values()),
        output_tokens=sum(used.output_tokens for used in models.values()),
        cached_tokens=sum(used.cached_tokens for used in models.values()),
        turns=final.num_turns,
    )
