"""Predicted conflicts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PredictedConflict:
    """How likely two tasks that nothing orders collide."""

    first: str
    second: str
    probability: float
    reason: str
    files: tuple[str, ...]
