"""What Claude Code's events, which other CLIs print too, tell of a call under way."""

from graftline.agents.backend import PROGRESS_CHARS, Progress
from graftline.agents.claude_events import Message, ToolResults
from graftline.agents.tool_calls import call_signature, describe_call
from graftline.text import plain_line


def texts_of(message: Message) -> list[str]:
    """What the model said, piece by piece."""
    return [block.text for block in message.content if block.type == "text" and block.text.strip()]


def read_message(message: Message) -> Progress | None:
    """What the agent says and the tool it calls."""
    texts = texts_of(message)
    calls = [block for block in message.content if block.type == "tool_use"]
    command = call_signature(calls[-1].name, calls[-1].input or {}) if calls else ""
    if texts:
        return Progress(plain_line(texts[-1], PROGRESS_CHARS), said="\n".join(texts), command=command)
    return Progress(describe_call(calls[-1].name, calls[-1].input or {}), command=command) if calls else None


def read_results(event: ToolResults) -> Progress | None:
    """What a tool call failed with."""
    failed = [block for block in event.message.content if block.is_error]
    said = _text_of(failed[-1].content) if failed else ""
    return Progress("", error=said) if said else None


def _text_of(content: object) -> str:
    """The text of a tool's result: itself, or that of its parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(text for part in parts if isinstance(part, dict) and isinstance(text := part.get("text"), str))
