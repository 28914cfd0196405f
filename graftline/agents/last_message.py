"""The last message of an agent, and the lines in what agents say that graftline understands."""

import re

from graftline.text import plain_line, plain_text

MESSAGE_CHARS = 20_000
DECLARED_CHARS = 500
QUESTION_CHARS = 2_000


def bounded_message(text: str) -> str:
    """The end of a message without control characters: it goes to reports and into other agents' prompts."""
    return plain_text(text[-MESSAGE_CHARS:]).strip()


def declared_no_change(message: str) -> str | None:
    """The reason of a `NO-CHANGE: reason` line; the last one counts, and one without a reason does not."""
    return _declared("NO-CHANGE", message, DECLARED_CHARS)


def asked_question(message: str) -> str | None:
    """The question of a `STUCK: question` line, by the same rules: without its answer the agent cannot go on."""
    return _declared("STUCK", message, QUESTION_CHARS)


def told_status(said: str) -> str | None:
    """What a `STATUS: text` line tells of how far the agent is, by the same rules."""
    return _declared("STATUS", said, DECLARED_CHARS)


def _declared(word: str, text: str, max_chars: int) -> str | None:
    # Models like to set such a line in bold or as code.
    found: list[str] = re.findall(rf"^[ \t>*_`]{{0,8}}{word}:[ \t*_`]*([^\s*_`].*)$", text, re.MULTILINE)
    return plain_line(found[-1].rstrip("*_` \t"), max_chars) if found else None
