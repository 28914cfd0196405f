"""A plan's tasks as a tree: each once, below that of the tasks it waits for that comes after the longest chain."""

from collections.abc import Iterator
from dataclasses import dataclass

from graftline.plan import Graph

DEEPEST = 20
"""How far tasks are indented at most: a chain of a thousand would not fit on any screen."""


@dataclass(frozen=True)
class Branch:
    """A task's line of the tree: the lines that lead to it, and the tasks it waits for besides the one above it."""

    guide: str
    task: str
    also_after: tuple[str, ...]


def plan_tree(graph: Graph) -> Iterator[Branch]:
    """The tree, from the top down; tasks below the same one are in the order in which their work is put together."""
    waits = {task: graph.waits_for(task) for task in graph.order}
    below: dict[str | None, list[str]] = {}
    levels: dict[str, int] = {}
    above: dict[str, str | None] = {}
    for task, firsts in waits.items():
        last = max(reversed(firsts), key=levels.__getitem__, default=None)
        levels[task] = 0 if last is None else levels[last] + 1
        above[task] = last
        below.setdefault(last, []).append(task)
    # Outstanding tasks, the next one last: a plan may be deeper than Python's stack.
    outstanding = [(task, 0, "", "") for task in reversed(below.get(None, []))]
    while outstanding:
        task, depth, guide, indent = outstanding.pop()
        shown = above[task] if depth < DEEPEST else None
        yield Branch(guide, task, tuple(first for first in waits[task] if first != shown))
        children = below.get(task, [])
        for number, child in reversed(list(enumerate(children))):
            is_last = number == len(children) - 1
            if depth + 1 < DEEPEST:
                bend, pass_by = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
                outstanding.append((child, depth + 1, indent + bend, indent + pass_by))
            else:
                outstanding.append((child, DEEPEST, guide, indent))
