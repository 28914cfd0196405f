"""What was foreseen for a plan when it was settled, and what came of it: so that both can be scored."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from graftline.git.merging import THE_TARGET
from graftline.journal import Entry, EventKind
from graftline.planning.advice import Advice
from graftline.planning.conflicts import PredictedConflict

MOST_NAMED = 5

TaskPair = frozenset[str]


class Forecast(BaseModel):
    """The advice for a plan, and which of its tasks may collide."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    advice: Advice
    conflicts: tuple[PredictedConflict, ...]


@dataclass(frozen=True)
class Score:
    """A forecast beside what happened: which pairs collided, of those that were merged, and how many agents worked.

    `at_once` is the average number of agents at work while there was any.
    """

    forecast: Forecast
    collided: tuple[TaskPair, ...]
    merged: frozenset[str]
    at_once: float

    @cached_property
    def tried(self) -> dict[TaskPair, float]:
        """The probabilities of the pairs that were merged."""
        pairs = {frozenset((each.first, each.second)): each.probability for each in self.forecast.conflicts}
        return {pair: probability for pair, probability in pairs.items() if pair <= self.merged}

    @property
    def brier(self) -> float | None:
        """The mean squared error of the probabilities; None where none was put to the test."""
        errors = [(probability - (pair in self.collided)) ** 2 for pair, probability in self.tried.items()]
        return sum(errors) / len(errors) if errors else None

    def __str__(self) -> str:
        expected = sum(self.tried.values())
        named = ", ".join(f"{' and '.join(sorted(pair))} ({self._said(pair)})" for pair in self.collided[:MOST_NAMED])
        more = f" and {len(self.collided) - MOST_NAMED} more" if len(self.collided) > MOST_NAMED else ""
        advice = self.forecast.advice
        return (
            f"forecast: {expected:.1f} collisions among {_counted(len(self.tried), 'pair')} of tasks, and "
            f"{len(self.collided)} happened{f': {named}{more}' if named else ''}; advised was "
            f"{_counted(advice.workers, 'agent')} at a time, and {self.at_once:.1f} were at work on average"
        )

    def _said(self, pair: TaskPair) -> str:
        return f"{self.tried[pair]:.0%}" if pair in self.tried else "not foreseen"


def score_forecast(entries: Sequence[Entry]) -> Score | None:
    """The score of a run's latest forecast; None when it has none, or no two tasks were merged that could collide."""
    settled = _latest(entries, lambda entry: entry.event is EventKind.PLAN_SETTLED)
    merge = _latest(entries, lambda entry: entry.event is EventKind.MERGE_DONE and entry.data.get("of") == "tasks")
    if settled is None or merge is None:
        return None
    try:
        forecast = Forecast.model_validate(settled.data.get("forecast"))
    except ValidationError:  # settled without one, or by another version
        return None
    collided: dict[TaskPair, None] = {}
    merged = set(_names(merge.data.get("merged")))
    conflicts = merge.data.get("conflicts")
    for conflict in conflicts if isinstance(conflicts, list) else ():
        if isinstance(conflict, dict):
            task = str(conflict.get("task"))
            merged.add(task)
            others = (other for other in _names(conflict.get("with")) if other != THE_TARGET)
            collided.update(dict.fromkeys(frozenset((task, other)) for other in others))
    score = Score(forecast, tuple(collided), frozenset(merged), _at_once(entries))
    return score if score.tried or score.collided else None


def _at_once(entries: Iterable[Entry]) -> float:
    """How many attempts were under way on average while there was one."""
    worked = covered = latest = 0.0
    attempts = (entry for entry in entries if entry.event is EventKind.ATTEMPT_ENDED)
    ended = [(entry.at.timestamp(), entry.data.get("seconds")) for entry in attempts]
    for start, end in sorted((at - seconds, at) for at, seconds in ended if isinstance(seconds, int | float)):
        worked += end - start
        covered += max(0.0, end - max(start, latest))
        latest = max(latest, end)
    return worked / covered if covered else 0.0


def _latest(entries: Sequence[Entry], is_meant: Callable[[Entry], bool]) -> Entry | None:
    return next(filter(is_meant, reversed(entries)), None)


def _names(value: JsonValue) -> list[str]:
    return list(map(str, value)) if isinstance(value, list) else []


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
