"""How many agents a plan is worth: chains, coupled tasks and small ones are for one."""

from itertools import pairwise

import pytest
from hypothesis import given, settings

from graftline.plan import Plan, Size, TaskSpec, graph_of
from graftline.planning.advice import MOST_WORKERS, Advice, advise
from graftline.planning.conflicts import PredictedConflict
from graftline.planning.estimate import RunEstimate, TaskEstimate
from graftline.planning.interval import Interval
from tests.test_plan_properties import plans


def task(
    task_id: str, *depends_on: str, size: Size | None = None, read_only: bool = False, group: str | None = None
) -> TaskSpec:
    return TaskSpec(
        id=task_id, prompt="p", depends_on=depends_on, size=size, read_only=read_only, concurrency_group=group
    )


def conflict(first: str, second: str, probability: float) -> PredictedConflict:
    return PredictedConflict(first, second, probability, "because", ())


THREE = (task("a"), task("b"), task("c"))


@pytest.mark.parametrize(
    ("tasks", "predicted", "advice"),
    [
        ((task("a"),), (), Advice("solo", 1, "there is one task")),
        (
            (task("a", size=Size.SMALL), task("b", size=Size.SMALL)),
            (),
            Advice("solo", 1, "all of it is about 4 min 28 s of work for one agent"),
        ),
        (
            (task("a"), task("b", "a"), task("c", "b", size=Size.LARGE), task("d", "a", size=Size.SMALL)),
            (),
            Advice("solo", 1, "the tasks wait for one another: 89% of the work is one chain"),
        ),
        (
            (task("a", group="one"), task("b", group="one"), task("c", group="one")),
            (),
            Advice("solo", 1, "the tasks wait for one another: 33% of the work is one chain"),
        ),
        (THREE, (), Advice("workers", 3, "so many at a time need about 33% of the time of one agent")),
        (
            (*THREE, task("d", "a"), task("e", "b")),
            (conflict("a", "b", 0.5),),
            Advice("workers", 3, "so many at a time need about 50% of the time of one agent, and more would wait"),
        ),
        (
            THREE,
            (conflict("a", "b", 0.6), conflict("a", "c", 0.5), conflict("b", "c", 0.4)),
            Advice("solo", 1, "1.3 of 3 tasks are expected to collide and be done again"),
        ),
        (
            (task("a"), task("b", "a"), task("look", read_only=True), task("read", read_only=True)),
            (conflict("a", "b", 0.9),),
            Advice("solo-plus-readers", 2, "what changes files is done one after the other, the rest only reads"),
        ),
    ],
)
def test_advice_and_why(tasks: tuple[TaskSpec, ...], predicted: tuple[PredictedConflict, ...], advice: Advice) -> None:
    assert advise(Plan(tasks=tasks), predicted, None) == advice


def test_an_estimate_goes_before_sizes() -> None:
    """By their sizes the tasks are worth three agents; one of them takes nearly all of the time."""
    seconds = {"a": 3000.0, "b": 60.0, "c": 60.0}
    nothing = Interval(low=0, high=0)
    estimate = RunEstimate(
        tasks=tuple(
            TaskEstimate(task=name, cost_usd=None, seconds=Interval(low=each / 2, high=each * 2), basis="")
            for name, each in seconds.items()
        ),
        cost_usd=None,
        cost_known_usd=nothing,
        planning_usd=None,
        seconds=nothing,
        critical_path=("a",),
        width=3,
        basis="",
    )
    assert advise(Plan(tasks=THREE), (), estimate) == Advice(
        "solo", 1, "the tasks wait for one another: 96% of the work is one chain"
    )


@settings(deadline=None, max_examples=40)
@given(plans(most_tasks=6))
def test_advice_stays_within_the_plan_and_collisions_never_ask_for_more_agents(plan: Plan) -> None:
    calm = advise(plan, (), None)
    order = graph_of(plan).order
    stormy = advise(plan, [conflict(a, b, 1.0) for a, b in pairwise(order)], None)
    for advice in (calm, stormy):
        assert 1 <= advice.workers <= min(MOST_WORKERS, len(plan.tasks))
        assert (advice.shape == "solo") == (advice.workers == 1)
        assert advice.reason == advice.reason.strip() != ""
    assert stormy.workers <= calm.workers
