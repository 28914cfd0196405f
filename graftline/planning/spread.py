"""How far costs and durations of tasks lie apart: learned from those there were, by shrinkage towards a prior.

Both are taken as log-normal. On their logarithms this is the conjugate normal model with unknown mean and variance
(Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.3). Its predictive Student t is taken as the normal of
the same variance, of which the middle 80 % are a little wider.

What is not known of the mean is the same for all tasks of a run, so it does not average out over them: a sum over
tasks that were drawn apart would be sure of itself without a reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, fmean
from typing import Protocol

from graftline.ledger import MOST

PRIOR_TASKS = 1.0
"""How many tasks the prior's mean weighs as much as."""
PRIOR_DEGREES = 5.0
"""How many degrees of freedom the prior's variance has; more than 2, or it has none."""


@dataclass(frozen=True)
class Spread:
    """A log-normal figure: mean and variance of its logarithm, and how much of the variance a run's tasks share."""

    mean: float
    variance: float
    shared: float

    @property
    def median(self) -> float:
        """What is exceeded as often as not."""
        return math.exp(self.mean)

    def scaled(self, factor: float) -> "Spread":
        """The same for tasks that come to `factor` times as much."""
        return Spread(self.mean + math.log(factor), self.variance, self.shared)

    def figures(self, scores: Sequence[float]) -> list[float]:
        """What it comes to at these standard normal scores."""
        deviation = math.sqrt(self.variance)
        most = math.log(MOST)
        return [math.exp(min(most, self.mean + deviation * score)) for score in scores]


def spread_between(low: float, high: float) -> Spread:
    """A prior of which the middle 80 % are between two figures."""
    mean = (math.log(low) + math.log(high)) / 2
    deviation = (math.log(high) - mean) / NormalDist().inv_cdf(0.9)
    return Spread(mean, deviation**2, shared=1 / (PRIOR_TASKS + 1))


def learn(prior: Spread, logarithms: Sequence[float]) -> Spread:
    """What is to be expected of the next task after these; the prior itself where there are none."""
    if not logarithms:
        return prior
    count, average = len(logarithms), fmean(logarithms)
    weight = PRIOR_TASKS + count
    prior_within = prior.variance * (1 - prior.shared)
    squares = (
        prior_within * (PRIOR_DEGREES - 2)
        + math.fsum((each - average) ** 2 for each in logarithms)
        + PRIOR_TASKS * count / weight * (average - prior.mean) ** 2
    )
    within = squares / (PRIOR_DEGREES + count - 2)
    return Spread(
        mean=(PRIOR_TASKS * prior.mean + math.fsum(logarithms)) / weight,
        variance=within * (1 + 1 / weight),
        shared=1 / (weight + 1),
    )


class Figure(Protocol):
    """Something that comes to more or less; `shared` is how much of that the tasks of a run have in common."""

    @property
    def shared(self) -> float:
        """From 0, nothing, to 1, all."""
        ...

    def figures(self, scores: Sequence[float]) -> list[float]:
        """What it comes to at these standard normal scores."""
        ...


class Scenarios:
    """Ways in which a run may turn out; the same names give the same ones."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        chance = Random(name)  # noqa: S311 - a simulation
        self._common = [chance.gauss() for _ in range(count)]
        self._normal = [NormalDist().inv_cdf((rank + 0.5) / count) for rank in range(count)]

    def play(self, task: str, figure: Figure) -> list[float]:
        """What a task's figure comes to in each scenario.

        The scores drawn for it have exactly the quantiles of the normal distribution: only their ranks are left to
        chance (Iman and Conover 1982). So equal tasks have equal intervals, and another task in the plan changes none.
        """
        chance = Random(f"{self._name} of {task}")  # noqa: S311 - a simulation
        common, own = math.sqrt(figure.shared), math.sqrt(1 - figure.shared)
        drawn = [common * each + own * chance.gauss() for each in self._common]
        scores = [0.0] * len(drawn)
        for score, scenario in zip(self._normal, sorted(range(len(drawn)), key=drawn.__getitem__), strict=True):
            scores[scenario] = score
        return figure.figures(scores)
