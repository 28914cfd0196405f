"""Predicted conflicts."""

from dataclasses import dataclass

from graftline.plan import Plan
from graftline.planning.history import History
from graftline.planning.index import RepositoryIndex


@dataclass(frozen=True)
class PredictedConflict:
    """How likely two tasks that nothing orders collide."""

    first: str
    second: str
    probability: float
    reason: str
    files: tuple[str, ...]


def predict_conflicts(plan: Plan, *, index: RepositoryIndex, history: History) -> tuple[PredictedConflict, ...]:
    """Every two unordered tasks."""
    del plan, index, history
    return ()


def order_conflicts(plan: Plan, predicted: tuple[PredictedConflict, ...]) -> Plan:
    """The plan with the likely ones ordered."""
    del predicted
    return plan
