"""How likely two tasks collide that nothing orders: from what they declare, and from the repository's own past.

Two logistic models, one for tasks that change a common file and one for those that declare none. The weights are what
`python -m benchmarks.conflicts --fit` prints; docs/planning.md says on what, and what they are worth elsewhere.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from graftline.plan import Plan, graph_of
from graftline.planning.footprint import Footprint, Terrain
from graftline.planning.history import History
from graftline.planning.index import RepositoryIndex
from graftline.text import plain_line

LIKELY = 0.3
"""From here on two tasks are put in order: a collision costs a task's money and its time, waiting costs time alone."""
UNKNOWN = 0.1
"""For tasks of which nothing says what they change: so many of all pairs of branches in the benchmark collide."""
MOST_PAIRS = 1_000
PATH_CHARACTERS = 100
MAX_FILES = 5


@dataclass(frozen=True)
class PredictedConflict:
    """How likely two tasks collide that may be at work at the same time; `first` comes first in integration order.

    `reason` is one line. `files` are the ones it goes by, a few at most.
    """

    first: str
    second: str
    probability: float
    reason: str
    files: tuple[str, ...]


class Shared(NamedTuple):
    """What tells whether the changes of two tasks to a common file collide."""

    heat: float
    """How many percent of the latest commits touch the most touched common file, log1p."""
    size: float
    """Bytes of the smallest common file, log1p."""
    breadth: float
    """Files of the task that has fewer of them, log1p."""


class Apart(NamedTuple):
    """What tells whether two tasks without a common file collide after all: agents change more than is declared.

    Imports, names that one defines and the other uses, and common folders do not tell: beside these they add nothing.
    """

    partners: float
    """How regularly a file of one changed together with a file of the other: 0 to 1."""
    breadth: float
    """Files of the task that has fewer of them, log1p."""


@dataclass(frozen=True)
class Model:
    """A logistic model: the weight of each of its features, in their order."""

    intercept: float
    weights: tuple[float, ...]

    def probability(self, features: tuple[float, ...]) -> float:
        """What it makes of a pair."""
        score = self.intercept + sum(map(float.__mul__, self.weights, features))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


SHARED = Model(-0.400, Shared(heat=0.739, size=-0.311, breadth=0.665))
APART = Model(-5.459, Apart(partners=5.499, breadth=0.427))


def predict_conflicts(plan: Plan, *, index: RepositoryIndex, history: History) -> tuple[PredictedConflict, ...]:
    """Every two tasks that may be at work at the same time and change files, those most likely to collide first.

    Of very many pairs the likeliest `MOST_PAIRS`: they are shown, and kept in the run's journal.
    """
    graph = graph_of(plan)
    terrain = Terrain(index, history)
    writers = [spec for spec in map(plan.task, graph.order) if not spec.read_only]
    footprints = {spec.id: terrain.footprint(spec) for spec in writers}
    predicted = [
        _predict(terrain, (one.id, footprints[one.id]), (other.id, footprints[other.id]))
        for one, other in combinations(writers, 2)
        if not graph.is_ordered(one.id, other.id)
    ]
    return tuple(sorted(predicted, key=lambda conflict: -conflict.probability)[:MOST_PAIRS])


def order_conflicts(plan: Plan, predicted: Iterable[PredictedConflict]) -> Plan:
    """The plan with `after` where a collision is likely, so that the later task starts from the earlier one's work.

    Tasks that are in order, and ids that the plan does not have, are left alone. Every new edge follows the integration
    order, so there is never a cycle.
    """
    graph = graph_of(plan)
    rank = {task_id: place for place, task_id in enumerate(graph.order)}
    waits: dict[str, list[str]] = {}
    for conflict in predicted:
        pair = {conflict.first, conflict.second}
        if conflict.probability >= LIKELY and len(pair) == 2 and pair <= rank.keys() and not graph.is_ordered(*pair):
            first, second = sorted(pair, key=rank.__getitem__)
            waits.setdefault(second, []).append(first)
    tasks = (
        spec.model_copy(update={"after": tuple(dict.fromkeys([*spec.after, *waits.get(spec.id, ())]))})
        for spec in plan.tasks
    )
    return plan.model_copy(update={"tasks": tuple(tasks)})


def probability_of(features: Shared | Apart) -> float:
    """How likely a pair with these features collides."""
    return (SHARED if isinstance(features, Shared) else APART).probability(features)


def features_of(terrain: Terrain, one: Footprint, other: Footprint) -> Shared | Apart:
    """What the models look at in a pair of footprints."""
    breadth = math.log1p(min(len(one.files), len(other.files)))
    if shared := one.files & other.files:
        touched = max(terrain.touches[path] for path in shared)
        return Shared(
            heat=math.log1p(100 * touched / max(1, terrain.commits)),
            size=math.log1p(min(map(terrain.size, shared))),
            breadth=breadth,
        )
    partners = (one.partners[path].strength for path in one.partners.keys() & other.files)
    return Apart(partners=max(partners, default=0.0), breadth=breadth)


def _predict(terrain: Terrain, one: tuple[str, Footprint], other: tuple[str, Footprint]) -> PredictedConflict:
    unknown = [task_id for task_id, footprint in (one, other) if not footprint.files]
    if unknown:
        return PredictedConflict(one[0], other[0], UNKNOWN, f"what {' and '.join(unknown)} changes is unknown", ())
    reason, files = _reason(terrain, one[1], other[1])
    return PredictedConflict(one[0], other[0], probability_of(features_of(terrain, one[1], other[1])), reason, files)


def _reason(terrain: Terrain, one: Footprint, other: Footprint) -> tuple[str, tuple[str, ...]]:
    """What speaks most for a collision, and the files it is about."""
    if shared := sorted(one.files & other.files, key=lambda path: (-terrain.touches[path], path)):
        often = f", which {terrain.touches[shared[0]]} of the last {terrain.commits} commits touched"
        return f"both change {_shown(shared[0])}{often if terrain.touches[shared[0]] else ''}", tuple(
            shared[:MAX_FILES]
        )
    if joined := one.partners.keys() & other.files:
        path = min(joined, key=lambda path: (-one.partners[path].strength, path))
        link = one.partners[path]
        commits = "1 commit" if link.commits == 1 else f"{link.commits} commits"
        return f"{_shown(link.path)} and {_shown(path)} changed together in {commits}", (link.path, path)
    for some, others in ((one, other), (other, one)):
        if imported := sorted(some.imports.keys() & others.files):
            importer = some.imports[imported[0]]
            return f"{_shown(importer)} imports {_shown(imported[0])}", (importer, imported[0])
        if names := sorted(some.defines.keys() & others.uses.keys()):
            user, definer = others.uses[names[0]], some.defines[names[0]]
            return f"{_shown(user)} uses {_shown(names[0])} of {_shown(definer)}", (user, definer)
    if folders := sorted(_folders(one) & _folders(other)):
        return f"both change files in {_shown(folders[0] or 'the top folder')}", ()
    return "nothing is known that joins their files", ()


def _folders(footprint: Footprint) -> set[str]:
    return {path.rpartition("/")[0] for path in footprint.files}


def _shown(text: str) -> str:
    return plain_line(text, PATH_CHARACTERS)
