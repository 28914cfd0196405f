"""What a tool call of an agent tells a person, and what makes it the same call as another one."""

import json
from collections.abc import Mapping

from graftline.agents.backend import PROGRESS_CHARS
from graftline.text import plain_line

# What of a tool's input tells a person most, first hit first.
_TELLING = ("command", "file_path", "filePath", "path", "pattern", "url", "query", "description")


def describe_call(name: str, values: Mapping[str, object]) -> str:
    """One line on a tool called with these values."""
    telling = next((value for key in _TELLING if isinstance(value := values.get(key), str)), "")
    return plain_line(f"{name}: {telling}" if telling else name, PROGRESS_CHARS)


def call_signature(name: str, values: Mapping[str, object]) -> str:
    """Equal for equal calls."""
    return f"{name} {json.dumps(values, sort_keys=True)}"
