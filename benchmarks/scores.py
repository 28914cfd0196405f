"""How good predicted probabilities are, and the logistic model that fits given cases best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

RIDGE = 1.0
STEPS = 50


@dataclass(frozen=True)
class Prediction:
    """A probability that was predicted, and whether it came true."""

    probability: float
    happened: bool


@dataclass(frozen=True)
class Bin:
    """Predictions of about the same probability: how many, what they said on average, and how often it happened."""

    low: float
    high: float
    count: int
    predicted: float
    observed: float


def area_under_curve(predictions: Sequence[Prediction]) -> float:
    """How often what happened was predicted as likelier than what did not; a tie counts half. NaN without either."""
    happened = sorted(each.probability for each in predictions if each.happened)
    others = sorted(each.probability for each in predictions if not each.happened)
    if not happened or not others:
        return math.nan
    wins = sum((mine > other) + 0.5 * (mine == other) for mine in happened for other in others)
    return wins / (len(happened) * len(others))


def brier_score(predictions: Sequence[Prediction]) -> float:
    """The mean squared error: 0 is perfect, and saying the overall rate of everything gives rate * (1 - rate)."""
    return sum((each.probability - each.happened) ** 2 for each in predictions) / len(predictions)


def calibration(predictions: Sequence[Prediction], edges: Sequence[float]) -> list[Bin]:
    """The predictions in bins between the edges; empty bins are left out."""
    bins = []
    for low, high in pairwise(edges):
        inside = [each for each in predictions if low <= each.probability < high]
        if inside:
            predicted = sum(each.probability for each in inside) / len(inside)
            bins.append(Bin(low, high, len(inside), predicted, sum(each.happened for each in inside) / len(inside)))
    return bins


def fit_logistic(rows: Sequence[Sequence[float]], happened: Sequence[bool]) -> list[float]:
    """Intercept and weights of the logistic regression, by Newton's method, with a ridge on standardised features."""
    width = len(rows[0])
    means = [sum(row[at] for row in rows) / len(rows) for at in range(width)]
    spreads = [math.sqrt(sum((row[at] - means[at]) ** 2 for row in rows) / len(rows)) or 1.0 for at in range(width)]
    scaled = [[1.0, *((row[at] - means[at]) / spreads[at] for at in range(width))] for row in rows]
    weights = [0.0] * (width + 1)
    for _ in range(STEPS):
        chances = [1 / (1 + math.exp(-_dot(weights, row))) for row in scaled]
        slope = [
            sum(row[at] * (true - chance) for row, chance, true in zip(scaled, chances, happened, strict=True))
            - (RIDGE * weights[at] if at else 0.0)
            for at in range(width + 1)
        ]
        bend = [
            [
                sum(row[at] * row[to] * chance * (1 - chance) for row, chance in zip(scaled, chances, strict=True))
                + (RIDGE if at == to and at else 0.0)
                for to in range(width + 1)
            ]
            for at in range(width + 1)
        ]
        step = _solve(bend, slope)
        weights = [weight + by for weight, by in zip(weights, step, strict=True)]
        if max(map(abs, step)) < 1e-9:
            break
    slopes = [weight / spread for weight, spread in zip(weights[1:], spreads, strict=True)]
    return [weights[0] - _dot(slopes, means), *slopes]


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(mine * its for mine, its in zip(one, other, strict=True))


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gauss-Jordan elimination with pivoting."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for at in range(len(rows)):
        best = max(range(at, len(rows)), key=lambda place: abs(rows[place][at]))
        rows[at], rows[best] = rows[best], rows[at]
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for place, row in enumerate(rows):
            if place != at:
                rows[place] = [value - row[at] * pivot for value, pivot in zip(row, rows[at], strict=True)]
    return [row[-1] for row in rows]
