"""Plain data read from text, with the line every value stands on. Nothing here knows what a plan is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Never

from graftline.errors import ManifestError, Problem

DEEPEST_NESTING = 40  # far above what a plan needs, far below what exhausts the stack

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A tree of dict, list, str, int, float, bool and None; `lines` holds the line of every key and list item in it."""

    data: object
    file: str
    lines: Mapping[Location, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line(self, location: Location) -> int | None:
        """The line of that place, or of the nearest thing around it; None for data that came without text."""
        for length in range(len(location), -1, -1):
            if location[:length] in self.lines:
                return self.lines[location[:length]]
        return None

    def with_data(self, data: object, *, problems: tuple[Problem, ...] = ()) -> "Document":
        """The same document after its data was translated; more problems may have come to light."""
        return replace(self, data=data, problems=(*self.problems, *problems))


def printable(text: str) -> str:
    """The text with control characters escaped: it came from a stranger and is about to be shown on a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def refuse(message: str, file: str, line: int, cause: Exception | None = None) -> Never:
    """Raise ManifestError for a text that cannot be read any further."""
    raise ManifestError((Problem(message, file, line),)) from cause
