"""What a task's agent is told of the tasks that run beside it: a pure function of the plan."""

from collections.abc import Iterator

from graftline.paths import literal_parts
from graftline.plan import Graph, TaskSpec
from graftline.text import plain_line

MAX_NEIGHBOURS = 10
MAX_WRITES = 10
TITLE_CHARACTERS = 120
WRITES_CHARACTERS = 160


def unordered(graph: Graph, task_id: str) -> tuple[TaskSpec, ...]:
    """The tasks that may be at work at the same time as this one and change files, in integration order."""
    others = (graph.plan.task(other) for other in graph.order if not graph.is_ordered(task_id, other))
    return tuple(other for other in others if not other.read_only)


def describe_neighbours(graph: Graph, task_id: str) -> str:
    """A line for each task that changes files beside this one, the nearest files first; empty when there is none.

    Ids, titles and paths are the plan's: whoever shows this to an agent quotes it as data.
    """
    spec = graph.plan.task(task_id)
    if spec.read_only:
        return ""
    own = _folders(spec)
    # A stable sort: of equally near ones the first in integration order.
    neighbours = sorted(unordered(graph, task_id), key=lambda other: -max(map(len, own & _folders(other)), default=-1))
    return "\n".join(_lines(neighbours))


def _lines(neighbours: list[TaskSpec]) -> Iterator[str]:
    if neighbours:
        yield "Done by other agents at the same time:"
    for other in neighbours[:MAX_NEIGHBOURS]:
        title = plain_line(other.title or other.prompt, TITLE_CHARACTERS)
        yield f"- {other.id}: {title}; {_writes(other)}"
    if len(neighbours) > MAX_NEIGHBOURS:
        yield f"- and {len(neighbours) - MAX_NEIGHBOURS} more"


def _writes(spec: TaskSpec) -> str:
    if not spec.writes:
        return "it is not known what it changes"
    more = f" and {len(spec.writes) - MAX_WRITES} more" if len(spec.writes) > MAX_WRITES else ""
    return f"it changes {plain_line(', '.join(spec.writes[:MAX_WRITES]), WRITES_CHARACTERS)}{more}"


def _folders(spec: TaskSpec) -> set[tuple[str, ...]]:
    """What a task writes, and all folders above that."""
    paths = {literal_parts(pattern) for pattern in spec.writes}
    return {path[:depth] for path in paths for depth in range(len(path) + 1)}
