"""Estimates: finite, never negative, more for more work, and unknown where nobody will know."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from graftline.agents.outcome import Usage
from graftline.ledger import Account, Call, Role
from graftline.plan import Plan, Size, TaskSpec
from graftline.planning.estimate import RunEstimate, estimate
from graftline.planning.interval import Interval
from graftline.planning.outlook import ENOUGH_TASKS, NO_RUNS
from graftline.planning.past import Past, PastRun, PastTask
from graftline.settings import Settings
from tests.test_plan_properties import plans

AGENTS = Settings.model_validate(
    {
        "agents": {
            "careful": {"type": "claude-code", "tier": "deep"},
            "quick": {"type": "claude-code", "tier": "fast"},
            "fixed": {"type": "command", "command": ["true"], "cost_usd": 0.5},
            "free": {"type": "command", "command": ["true"], "cost_usd": 0.0},
            "silent": {"type": "command", "command": ["true"]},
            "local": {"type": "opencode", "model": "ollama/small"},
        },
        "prices": {"ollama/*": {"input": 0, "output": 0}},
    }
)
DONE = PastTask(agent="claude-code", size=Size.MEDIUM, calls=1, cost_usd=0.2, seconds=60.0)


def task(task_id: str, *after: str, **fields: object) -> TaskSpec:
    return TaskSpec.model_validate({"id": task_id, "prompt": "x", "depends_on": after, **fields})


def alone(past: Past | None = None, **fields: object) -> RunEstimate:
    """The estimate of a plan of one task."""
    return estimate(Plan(tasks=(task("a", **fields),)), AGENTS, past or Past())


def past(*tasks: PastTask, idle_seconds: float | None = None) -> Past:
    return Past((PastRun(tasks, idle_seconds),))


@effort(deadline=None, max_examples=15)
@given(plans(most_tasks=5), st.integers(1, 3))
def test_every_figure_is_finite_and_positive_and_more_tasks_cost_more(plan: Plan, agents: int) -> None:
    plan = Plan(tasks=tuple(spec.model_copy(update={"tier": None}) for spec in plan.tasks))
    settings = Settings.model_validate({"agent": {"max_concurrent": agents}})
    whole = estimate(plan, settings, Past())

    assert [one.task for one in whole.tasks] == [spec.id for spec in plan.tasks]
    for interval in [whole.cost_usd, whole.seconds, *(one.cost_usd for one in whole.tasks)]:
        assert interval is not None
        assert 0 < interval.low <= interval.high < math.inf
    assert whole == estimate(plan, settings, Past())
    assert RunEstimate.model_validate_json(whole.model_dump_json()) == whole

    more = estimate(Plan(tasks=(*plan.tasks, task("one-more"))), settings, Past())
    assert whole.cost_usd is not None
    assert more.cost_usd is not None
    assert more.cost_usd.low >= whole.cost_usd.low
    assert more.cost_usd.high >= whole.cost_usd.high
    assert more.tasks[:-1] == whole.tasks


def test_without_runs_the_prior_is_stated_as_one_and_goes_by_size_and_tier() -> None:
    medium, large = alone(size="medium"), alone(size="large")
    deep, fast = alone(agent="careful"), alone(agent="quick")

    assert medium.basis == NO_RUNS == "prior: no runs of this repository yet"
    assert medium.tasks[0].seconds == alone().tasks[0].seconds, "a task without a size is a medium one"
    assert large.cost_usd is not None
    assert medium.cost_usd is not None
    assert deep.cost_usd is not None
    assert fast.cost_usd is not None
    assert large.cost_usd.high == pytest.approx(2 * medium.cost_usd.high)
    assert large.tasks[0].seconds.low == pytest.approx(2 * medium.tasks[0].seconds.low)
    assert deep.cost_usd.low == pytest.approx(5 * fast.cost_usd.low)
    assert medium.tasks[0].cost_usd == medium.cost_usd, "what a single task costs is what the run costs"


def test_enough_tasks_of_an_agent_in_this_repository_say_what_comes_next() -> None:
    few = alone(past(*[DONE] * (ENOUGH_TASKS - 1)))
    enough = alone(past(*[DONE] * ENOUGH_TASKS))
    many = alone(past(*[DONE] * 100, idle_seconds=10.0))

    assert few.tasks[0].cost_usd == alone().tasks[0].cost_usd
    assert few.basis == "prior: claude-code has done 4 of the 5 tasks in this repository that it takes"
    assert enough.basis == "5 tasks of claude-code in this repository"
    assert many.cost_usd is not None
    assert few.cost_usd is not None
    assert many.cost_usd.holds(0.2)
    assert many.cost_usd.high < 0.4
    assert many.seconds.holds(70.0)
    assert many.seconds.high - many.seconds.low < few.seconds.high - few.seconds.low
    assert alone(past(*[DONE] * 100), agent="careful").basis.startswith("prior: careful has done 0 of the 5")


def test_sizes_of_past_tasks_are_taken_into_account() -> None:
    small = replace(DONE, size=Size.SMALL, cost_usd=0.1, seconds=30.0)

    assert alone(past(*[small] * 9)) == alone(past(*[DONE] * 9))


def test_a_call_of_known_price_costs_its_price_and_perhaps_once_more() -> None:
    fixed, free, local = alone(agent="fixed"), alone(agent="free"), alone(agent="local")

    assert fixed.cost_usd == Interval(low=0.5, high=1.0)
    assert free.cost_usd == local.cost_usd == Interval(low=0, high=0)
    assert fixed.basis == f"{NO_RUNS}; a call of fixed costs $0.50"
    assert local.basis == f"{NO_RUNS}; the model of local costs nothing"
    once = replace(DONE, agent="fixed", cost_usd=0.5)
    assert alone(past(*[once] * 50), agent="fixed").cost_usd == Interval(low=0.5, high=0.5)
    again = replace(once, calls=4, cost_usd=2.0)
    assert alone(past(*[again] * 50), agent="fixed").cost_usd == Interval(low=0.5, high=2.0), "bounded by the retries"


def test_a_cost_that_nobody_will_tell_is_unknown_and_makes_the_runs_cost_unknown() -> None:
    both = estimate(Plan(tasks=(task("a", agent="silent"), task("b", agent="fixed"))), AGENTS, Past())

    assert (both.cost_usd, both.tasks[0].cost_usd) == (None, None)
    assert both.cost_known_usd == Interval(low=0.5, high=1.0)
    assert "what a call of silent costs is not known" in both.basis


def test_what_planning_cost_is_a_part_of_what_the_run_costs(call: Call) -> None:
    plan = Plan(tasks=(task("a", agent="fixed"),))

    paid = estimate(plan, AGENTS, Past(), planning=Account((call,)))
    untold = estimate(plan, AGENTS, Past(), planning=Account((replace(call, usage=Usage()),)))

    assert (paid.cost_usd, paid.planning_usd) == (Interval(low=0.75, high=1.25), 0.25)
    assert (untold.cost_usd, untold.planning_usd) == (None, None)


def test_path_width_and_time_go_by_the_shape_of_the_plan() -> None:
    chain = estimate(Plan(tasks=(task("a"), task("b", "a"), task("c", "b"))), Settings(), Past())
    side_by_side = Plan(tasks=(task("a"), task("b"), task("c", size="large")))
    wide = estimate(side_by_side, Settings(), Past())

    assert (chain.critical_path, chain.width) == (("a", "b", "c"), 1)
    assert (wide.critical_path, wide.width) == (("c",), 3)
    assert chain.seconds.low > wide.seconds.low
    for limits in [{"agent": {"max_concurrent": 1}}, {"limits": {"agents": 1}}]:
        one_by_one = estimate(side_by_side, Settings.model_validate(limits), Past())
        assert one_by_one.seconds.low > wide.seconds.low
        assert one_by_one.width == 3


@pytest.fixture
def call() -> Call:
    return Call(
        run_id="1",
        role=Role.PLANNER,
        backend="anthropic",
        id=1,
        version="",
        model="",
        usage=Usage(cost_usd=0.25),
        cost_source=None,
        reserved_usd=0.5,
        seconds=1.0,
        outcome=None,
        started_at=datetime.now(UTC),
        ended_at=datetime.now(UTC),
    )
