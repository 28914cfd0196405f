"""Text from agents, models and tests made safe to show and to quote: it may hold anything and be of any length."""

import re

# CSI sequences, OSC sequences (titles, links) up to their terminator, and two-character escapes.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]"
)
# What remains of control characters, and the marks that reorder or hide text.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_BACKTICKS = re.compile(r"`{3,}")


def plain_text(text: str) -> str:
    """The text without escape sequences, control characters (line ends and tabs apart) and direction marks."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def plain_line(text: str, max_chars: int) -> str:
    """The text on one line, cut at `max_chars`."""
    line = " ".join(plain_text(text[: 8 * max_chars]).split())
    return line if len(line) <= max_chars else f"{line[: max_chars - 1]}…"


def plain_end(text: str, max_chars: int) -> str:
    """The last `max_chars` of the text, where programs say what went wrong."""
    clean = plain_text(text[-8 * max_chars :]).strip()
    return clean if len(clean) <= max_chars else f"…{clean[1 - max_chars :]}"


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
