"""The preview of a plan as plain lines: for a terminal, a pipe and a log alike.

Nothing in it steers a terminal, whatever a plan holds.
"""

from collections.abc import Iterator, Sequence

from graftline.planning.preview import Preview
from graftline.planning.prospects import Prospects
from graftline.report.estimate_wording import cost_between, time_between
from graftline.report.plan_tree import plan_tree
from graftline.report.preview_wording import (
    advice_line,
    also_after,
    conflict_line,
    expectations,
    headline,
    less_likely,
    likely_conflicts,
    short_title,
)
from graftline.report.wording import labelled
from graftline.text import plain_line

TITLE_CHARACTERS = 80
CELL_CHARACTERS = 60


def preview_lines(preview: Preview) -> Iterator[str]:
    """The plan as a tree, who does each task at what expected cost, and what is expected of the run as a whole."""
    yield labelled("Plan", headline(preview))
    yield from _tree(preview)
    if preview.prospects is not None:
        yield from _table(preview, preview.prospects)
        yield from _expectations(preview.prospects)
    yield from (labelled("Note", note) for note in preview.notes)


def _tree(preview: Preview) -> Iterator[str]:
    specs = {spec.id: spec for spec in preview.plan.tasks}
    branches = list(plan_tree(preview.graph))
    width = max(len(branch.guide) + len(branch.task) for branch in branches)
    for branch in branches:
        title = plain_line(short_title(specs[branch.task]), TITLE_CHARACTERS)
        yield f"  {branch.guide + branch.task:{width}}  {title}{also_after(branch)}".rstrip()


def _table(preview: Preview, prospects: Prospects) -> Iterator[str]:
    specs = {spec.id: spec for spec in preview.plan.tasks}
    rows = [("Task", "Agent", "Size", "Cost", "Time", "Writes")]
    for task in preview.order:
        spec, expected = specs[task], prospects.estimate.of(task)
        rows.append(
            (
                task,
                plain_line(str(prospects.agents[task]), CELL_CHARACTERS),
                spec.size or "",
                cost_between(expected.cost_usd),
                time_between(expected.seconds),
                "nothing" if spec.read_only else plain_line(", ".join(spec.writes), CELL_CHARACTERS),
            )
        )
    yield from (f"  {line}" for line in _aligned(rows))


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The rows with equally wide columns; one in which there is nothing but its heading is left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    for cells in zip(*columns, strict=True):
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _expectations(prospects: Prospects) -> Iterator[str]:
    yield from (labelled(label, text) for label, text in expectations(prospects))
    likely = likely_conflicts(prospects)
    yield from (labelled("Risk", conflict_line(conflict)) for conflict in likely)
    if len(likely) < len(prospects.forecast.conflicts):
        yield labelled("Risk", less_likely(len(likely)))
    yield labelled("Advice", advice_line(prospects))
    if prospects.escalation:
        deeper = ", ".join(map(str, prospects.escalation))
        yield labelled("Retries", f"after a failed attempt, by the next deeper of {deeper}")
