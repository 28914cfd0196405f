"""Judges a Codex call by its events: how the last turn ended, never the exit status or the text of a tool."""

import re

from graftline.agents.backend import PROGRESS_CHARS, Assignment, Progress
from graftline.agents.codex_events import (
    Item,
    ItemCompleted,
    ItemStarted,
    ThreadStarted,
    Trouble,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
    parse_event,
)
from graftline.agents.evidence import classify_refusal
from graftline.agents.last_message import bounded_message, declared_no_change
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.agents.session_usage import split_usage, total_usage
from graftline.agents.tool_calls import call_signature, describe_call
from graftline.agents.verdict import DETAIL_CHARS, ENDED_BY_US, judge_cut_short
from graftline.process import ProcessResult
from graftline.text import plain_end, plain_line

# How the CLI words a refusal, the provider's own sentence behind it.
_STATUS = re.compile(r"(?:unexpected status|last status:) (\d{3})\b")
# Its exit status for whatever failed, an interrupted turn included.
FAILED_STATUS = 1


class CodexTranscript:
    """Reads one call's JSON events. They name no model: `model` is the one that was asked for."""

    def __init__(self, assignment: Assignment, model: str) -> None:
        self._session = assignment.session
        self._model = model
        self._session_id = ""
        self._verdict: TurnCompleted | TurnFailed | None = None
        self._under_way = False
        self._trouble = ""
        self._totals: Usage | None = None
        self._last_text = ""

    def read(self, line: str) -> Progress | None:
        """Take one line; what the agent says, the tools it calls and the waits of the CLI are progress."""
        event = parse_event(line)
        if event is None:
            return None
        self._trouble = event.message if isinstance(event, Trouble) else ""
        match event:
            case ThreadStarted():
                self._session_id = event.thread_id
            case TurnStarted():
                self._under_way, self._verdict = True, None
            case TurnCompleted():
                self._verdict = event
                if (told := event.usage) is not None:
                    self._totals = total_usage(
                        input_tokens=told.input_tokens,
                        cached_tokens=told.cached_input_tokens,
                        output_tokens=told.output_tokens,
                    )
            case TurnFailed():
                self._verdict = event
            case Trouble():
                return Progress(plain_line(event.message, PROGRESS_CHARS))
            case ItemStarted():
                return _read_call(event.item)
            case ItemCompleted():
                return self._read_completed(event.item)
        return None

    def outcome(self, result: ProcessResult) -> AgentOutcome:
        """Judge the call by its last turn; without one that ended, by how it was cut short."""
        kind, detail = self._judge(result)
        message = bounded_message(self._last_text)
        usage, session_usage = split_usage(self._totals, self._session)
        return AgentOutcome(
            kind=kind,
            detail=plain_end(detail, DETAIL_CHARS),
            last_message=message,
            answer=self._last_text,
            declared_no_change=declared_no_change(message),
            usage=usage,
            model=self._model,
            session_id=self._session_id,
            session_usage=session_usage,
            exit_status=result.status,
        )

    def _read_completed(self, item: Item) -> Progress | None:
        if item.type == "agent_message" and item.text:
            self._last_text = item.text
            return Progress(plain_line(item.text, PROGRESS_CHARS), said=item.text)
        if item.type == "error" and item.message:
            return Progress(plain_line(item.message, PROGRESS_CHARS))
        if item.status == "failed":
            return Progress("", error=item.aggregated_output or f"{item.type} failed")
        return None

    def _judge(self, process: ProcessResult) -> tuple[OutcomeKind, str]:
        if isinstance(self._verdict, TurnCompleted):
            return OutcomeKind.OK, ""
        if self._verdict is None:
            return self._judge_cut_short(process)
        sentence = self._verdict.error.message
        kind = _classify(sentence)
        if kind is None and process.ending in ENDED_BY_US:
            return self._judge_cut_short(process)
        return kind or OutcomeKind.FAILED, sentence or "the turn failed; Codex gave no reason"

    def _judge_cut_short(self, process: ProcessResult) -> tuple[OutcomeKind, str]:
        if self._trouble and _classify(self._trouble) is OutcomeKind.AUTH:
            # Whoever ended it while it went on asking, another attempt would meet the same.
            return OutcomeKind.AUTH, self._trouble
        waiting = f"it was waiting for its provider: {self._trouble}" if self._trouble else ""
        if not self._under_way:
            return judge_cut_short(process, waiting=waiting)
        # From the first turn on, stderr quotes what the agent's tools were given.
        kind, detail = judge_cut_short(process, waiting=waiting, own_words="")
        if kind is OutcomeKind.FAILED and process.status == FAILED_STATUS:
            return OutcomeKind.INTERRUPTED, "interrupted from outside (status 1 in the middle of a turn)"
        return kind, detail


def _classify(sentence: str) -> OutcomeKind | None:
    status = _STATUS.search(sentence)
    return classify_refusal(status=int(status[1]) if status else None, code="", text=sentence)


def _read_call(item: Item) -> Progress:
    """A tool call that begins."""
    name = ".".join(part for part in (item.server, item.tool) if part) or item.type
    if item.changes is not None:
        # Of a patch only the paths are told: a second one to the same file is not the same call.
        return Progress(describe_call(name, {"path": ", ".join(change.path for change in item.changes)}))
    told = {"command": item.command, "query": item.query, "arguments": item.arguments}
    values = {key: value for key, value in told.items() if value is not None}
    return Progress(describe_call(name, values), command=call_signature(name, values))
