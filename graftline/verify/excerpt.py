"""Text from a test run, made safe to show, to store and to quote: it was written by code that nobody vouches for."""

import re

MESSAGE_BYTES = 4_000
TRACE_BYTES = 16_000
DETAIL_BYTES = 16_000

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_])")
# Control characters but tab and newline, and the marks that make text read in another order than it is written.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain_text(text: str) -> str:
    """The text without terminal escapes, control characters and lone surrogates."""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")
    return _UNSEEN.sub("", _ESCAPE.sub("", text))


def excerpt(text: str, limit_bytes: int) -> str:
    """Plain text of at most `limit_bytes` in UTF-8; a quarter from its beginning, the rest from its end."""
    data = plain_text(text).encode()
    if len(data) <= limit_bytes:
        return data.decode()
    mark = f"\n[... {len(data) - limit_bytes} bytes left out ...]\n"
    room = limit_bytes - len(mark)
    head, tail = data[: room // 4], data[len(data) - (room - room // 4) :]
    return head.decode(errors="ignore") + mark + tail.decode(errors="ignore")
