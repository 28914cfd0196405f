"""Sections of a text for a model: what we say, then lines of a repository in a code block that they cannot close."""

from collections.abc import Sequence
from dataclasses import dataclass

from graftline.text import fenced


@dataclass(frozen=True)
class Section:
    """A heading, a sentence of ours, and lines of somebody else's."""

    title: str
    about: str
    lines: Sequence[str]

    def within(self, room: int) -> tuple[str, int]:
        """The section in at most `room` characters, and how many of its lines are in it; empty when none fits."""
        kept = 0
        used = len(self._text(()))
        for line in self.lines:
            used += len(line) + 1
            if used > room:
                break
            kept += 1
        text = self._text(self.lines[:kept])
        while kept and len(text) > room:  # the fence grows with backticks in the lines
            kept -= 1
            text = self._text(self.lines[:kept])
        return (text, kept) if kept else ("", 0)

    def _text(self, lines: Sequence[str]) -> str:
        body = "\n".join(lines)
        return f"## {self.title}\n\n{self.about}\n\n{fenced(body, len(body) + 1)}\n\n"
