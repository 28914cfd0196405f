"""Text from agents, models and tests made safe to show, to store and to quote: it may hold anything, at any length."""

import re

# CSI sequences, strings such as titles and links up to their terminator, two-character escapes, and the one-byte CSI.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]?|\x9b[0-?]*[ -/]*[@-~]"
)
# What remains of control characters (line ends and tabs apart), and the marks that reorder, hide or break text.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
_BACKTICKS = re.compile(r"`{3,}")


def whole_characters(text: str) -> str:
    """The text with a question mark for each lone surrogate, half a character that no file takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def plain_text(text: str, max_chars: int | None = None) -> str:
    """The text without escape sequences, control characters, direction marks and lone surrogates, cut at `max_chars`.

    Line ends and tabs stay.
    """
    if max_chars is not None:
        text = text[: 8 * max_chars]
    text = whole_characters(text).replace("\r\n", "\n").replace("\r", "\n")
    clean = _UNSEEN.sub("", _ESCAPES.sub("", text))
    return clean if max_chars is None or len(clean) <= max_chars else f"{clean[: max_chars - 1]}…"


def plain_line(text: str, max_chars: int) -> str:
    """The text on one line, cut at `max_chars`."""
    line = " ".join(plain_text(text[: 8 * max_chars]).split())
    return line if len(line) <= max_chars else f"{line[: max_chars - 1]}…"


def plain_end(text: str, max_chars: int) -> str:
    """The last `max_chars` of the text, where programs say what went wrong."""
    clean = plain_text(text[-8 * max_chars :]).strip()
    return clean if len(clean) <= max_chars else f"…{clean[len(clean) - max_chars + 1 :]}"


def find_hidden(text: str) -> str:
    """The first character by which a text shows people something else than it says, as `U+202E`; empty when none is."""
    found = _UNSEEN.search(text.replace("\r\n", "\n"))
    return f"U+{ord(found[0]):04X}" if found else ""


def excerpt(text: str, max_bytes: int) -> str:
    """Plain text of at most `max_bytes` in UTF-8; a quarter from its beginning, the rest from its end."""
    data = plain_text(text).encode()
    if len(data) <= max_bytes:
        return data.decode()
    mark = f"\n[... {len(data) - max_bytes} bytes left out ...]\n"
    room = max_bytes - len(mark)
    head, tail = data[: room // 4], data[len(data) - (room - room // 4) :]
    return head.decode(errors="ignore") + mark + tail.decode(errors="ignore")


def fenced(text: str, max_chars: int) -> str:
    """The text as a Markdown code block that it cannot close: data for a model to read, never instructions.

    Too long a text loses its middle: what failed stands at either end of a trace.
    """
    clean = plain_text(text).strip("\n")
    if len(clean) > max_chars:
        half = max_chars // 2
        left_out = len(clean) - 2 * half
        clean = f"{clean[:half]}\n[… {left_out} characters left out …]\n{clean[-half:]}"
    longest = max((len(run) for run in _BACKTICKS.findall(clean)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{clean}\n{fence}"
