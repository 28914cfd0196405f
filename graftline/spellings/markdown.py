"""A plan file in Markdown: YAML front matter, and below it a prompt under each heading `## <task id>`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from graftline.errors import ManifestError, Problem
from graftline.spellings.document import Document
from graftline.spellings.yaml_document import read_yaml

_FENCE = re.compile(r"^ {0,3}(?P<marks>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)$")
_HEADING = re.compile(r"^ {0,3}##(?:[ \t]+(?P<text>.*?))??(?:[ \t]+#+)?[ \t]*$")


@dataclass(frozen=True)
class Section:
    """What stands below one heading `## <heading>`; `line` is the heading's."""

    heading: str
    line: int
    prompt: str


@dataclass(frozen=True)
class Markdown:
    """Front matter as data, and the sections below it; text before the first section is for people."""

    front_matter: Document
    sections: tuple[Section, ...]
    problems: tuple[Problem, ...]


def read_markdown(text: str, *, file: str) -> Markdown:
    """Read front matter and sections. Raises ManifestError when there is no front matter or it is not YAML."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines[0].rstrip() != "---":
        raise ManifestError((Problem("a Markdown plan starts with front matter: `---` as its first line", file, 1),))
    end = next((position for position, line in enumerate(lines) if position and line.rstrip() == "---"), None)
    if end is None:
        raise ManifestError((Problem("the front matter is not closed by a second line `---`", file, 1),))
    front_matter = read_yaml("\n".join([*lines[1:end], ""]), file=file, first_line=2)
    sections, problems = _sections(lines[end + 1 :], file=file, first_line=end + 2)
    return Markdown(front_matter, sections, problems)


def section_of(task_id: str, prompt: str) -> str | None:
    """The section that spells this prompt; None when no section can carry it verbatim."""
    body = f"## {task_id}\n\n{prompt}\n"
    sections, problems = _sections([line.removesuffix("\r") for line in body.split("\n")], file="", first_line=1)
    return body if not problems and [section.prompt for section in sections] == [prompt] else None


def _sections(lines: list[str], *, file: str, first_line: int) -> tuple[tuple[Section, ...], tuple[Problem, ...]]:
    """Split at the headings of level 2 outside code fences.

    A prompt is verbatim, deeper headings and the fences themselves included; only the blank lines around it, and so
    the line break at its end, belong to the section.
    """
    headings = list(_headings(lines))
    problems: tuple[Problem, ...] = ()
    if headings and headings[-1][1] is None:
        opened = headings.pop()[0]
        problems = (Problem("the code fence opened here is never closed", file, first_line + opened),)
    sections = tuple(
        Section(heading or "", first_line + position, _without_blank_edges(lines[position + 1 : end]))
        for (position, heading), (end, _) in pairwise([*headings, (len(lines), None)])
    )
    return sections, problems


def _headings(lines: list[str]) -> Iterator[tuple[int, str | None]]:
    """Position and text of every heading of level 2; at last, text None, the position of a fence left open."""
    fence, opened = "", 0
    for position, line in enumerate(lines):
        marks = _FENCE.match(line)
        if fence:
            if marks and marks["marks"].startswith(fence) and not marks["info"].strip():
                fence = ""
        elif marks:
            fence, opened = marks["marks"], position
        elif heading := _HEADING.match(line):
            yield position, heading["text"] or ""
    if fence:
        yield opened, None


def _without_blank_edges(lines: list[str]) -> str:
    start, end = 0, len(lines)
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return "\n".join(lines[start:end])
