"""The last message of an agent, and the one line in it that graftline understands."""

import re

from graftline.text import plain_line, plain_text

MESSAGE_CHARS = 20_000
# Models like to set such a line in bold or as code.
_NO_CHANGE = re.compile(r"^[ \t>*_`]{0,8}NO-CHANGE:[ \t*_`]*([^\s*_`].*)$", re.MULTILINE)


def bounded_message(text: str) -> str:
    """The end of a message without control characters: it goes to reports and into other agents' prompts."""
    return plain_text(text[-MESSAGE_CHARS:]).strip()


def declared_no_change(message: str) -> str | None:
    """The reason of a `NO-CHANGE: reason` line; the last one counts, and one without a reason does not."""
    reasons: list[str] = _NO_CHANGE.findall(message)
    return plain_line(reasons[-1].rstrip("*_` \t"), 500) if reasons else None
