"""Advice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from graftline.plan import Plan
from graftline.planning.conflicts import PredictedConflict
from graftline.planning.estimate import RunEstimate


@dataclass(frozen=True)
class Advice:
    """How many agents a plan is worth."""

    shape: Literal["solo", "solo-plus-readers", "workers"]
    workers: int
    reason: str


def advise(plan: Plan, predicted: Sequence[PredictedConflict], estimate: RunEstimate | None) -> Advice:
    """Advice."""
    del plan, predicted
    return Advice("workers", estimate.width if estimate else 1, "nothing speaks against it")
