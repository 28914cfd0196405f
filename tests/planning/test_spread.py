"""What is learned of costs and times: it gives way to what was seen, and keeps its promise on repositories like it."""

import math
from random import Random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.planning.spread import PRIOR_DEGREES, PRIOR_TASKS, Scenarios, Spread, learn, spread_between

PRIOR = spread_between(0.1, 2.5)
logarithms = st.lists(st.floats(-9, 9), min_size=1, max_size=30)


def middle(figures: list[float]) -> tuple[float, float]:
    """The tenth and the ninetieth of a hundred."""
    ordered = sorted(figures)
    return ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 10]


def test_a_prior_has_its_middle_where_it_was_put_and_nothing_seen_leaves_it_so() -> None:
    assert learn(PRIOR, []) is PRIOR
    assert PRIOR.median == pytest.approx(0.5)
    assert middle(Scenarios("x", 1000).play("a", PRIOR)) == pytest.approx((0.1, 2.5), rel=0.01)
    assert PRIOR.scaled(2).median == pytest.approx(1.0)


@given(logarithms)
def test_what_is_expected_lies_between_the_prior_and_what_was_seen(seen: list[float]) -> None:
    learned = learn(PRIOR, seen)

    assert min(*seen, PRIOR.mean) - 1e-9 <= learned.mean <= max(*seen, PRIOR.mean) + 1e-9
    assert learned.variance > 0
    assert 0 < learned.shared < PRIOR.shared


@given(st.floats(-5, 5))
def test_the_more_is_seen_the_less_is_left_of_the_prior(each: float) -> None:
    few, many = learn(PRIOR, [each] * 3), learn(PRIOR, [each] * 300)

    assert abs(many.mean - each) <= abs(few.mean - each)
    assert many.shared < few.shared


@given(st.text(max_size=5), st.floats(0, 1), st.floats(-3, 3))
def test_equal_figures_have_equal_intervals_whatever_else_is_drawn(task: str, shared: float, mean: float) -> None:
    scenarios = Scenarios("cost", 100)
    figure = Spread(mean, 1.0, shared)

    assert sorted(scenarios.play(task, figure)) == sorted(scenarios.play(f"{task}2", figure))
    assert scenarios.play(task, figure) == Scenarios("cost", 100).play(task, figure)


def test_what_is_shared_goes_up_and_down_together_and_what_is_not_averages_out() -> None:
    def sum_of(shared: float) -> tuple[float, float]:
        played = [Scenarios("cost", 1000).play(str(task), Spread(0.0, 1.0, shared)) for task in range(20)]
        return middle([sum(each) for each in zip(*played, strict=True)])

    apart, together = sum_of(0.0), sum_of(1.0)

    assert together == pytest.approx((20 * math.exp(-1.28), 20 * math.exp(1.28)), rel=0.02)
    assert apart[0] > 2 * together[0]
    assert apart[1] < together[1] / 1.5


@pytest.mark.parametrize("seen", [0, 5, 20])
def test_intervals_hold_at_least_as_often_as_they_say_on_repositories_drawn_from_the_prior(seen: int) -> None:
    chance = Random(1)
    squares = PRIOR.variance * (1 - PRIOR.shared) * (PRIOR_DEGREES - 2)
    held = 0
    for _ in range(2000):
        within = squares / (2 * chance.gammavariate(PRIOR_DEGREES / 2, 1))
        repository = chance.gauss(PRIOR.mean, math.sqrt(within / PRIOR_TASKS))
        tasks = [chance.gauss(repository, math.sqrt(within)) for _ in range(seen + 1)]
        learned = learn(PRIOR, tasks[1:])
        held += abs(tasks[0] - learned.mean) <= NormalDist().inv_cdf(0.9) * math.sqrt(learned.variance)

    assert 0.79 <= held / 2000 <= 0.86
