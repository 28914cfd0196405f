"""The schedule that an estimate plays: as long as tasks, slots and groups make it, and never longer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftline.plan import Plan, TaskSpec, graph_of
from graftline.planning.schedule import Network, critical_path, network_of, schedule
from graftline.settings import LimitSettings
from tests.test_plan_properties import plans

seconds_of = st.integers(1, 30).map(float)


def network(plan: Plan, **groups: int) -> Network:
    return network_of(graph_of(plan), LimitSettings(groups=groups))


def task(task_id: str, *after: str, group: str | None = None) -> TaskSpec:
    return TaskSpec(id=task_id, prompt="x", depends_on=after, concurrency_group=group)


DIAMOND = Plan(tasks=(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"), task("e")))


@pytest.mark.parametrize(("agents", "seconds", "peak"), [(1, 15, 1), (2, 10, 2), (9, 8, 3)])
def test_a_plan_takes_as_long_as_its_slots_make_it(agents: int, seconds: float, peak: int) -> None:
    played = schedule(network(DIAMOND), [1, 2, 3, 4, 5], agents)

    assert (played.seconds, played.peak) == (seconds, peak)
    assert critical_path(network(DIAMOND), [1, 2, 3, 4, 5]) == ("a", "c", "d")


def test_tasks_of_a_group_wait_for_one_another_and_hold_no_slot_meanwhile() -> None:
    plan = Plan(tasks=(task("a", group="g"), task("b", group="g"), task("c")))

    assert schedule(network(plan), [5, 5, 7], 2).seconds == 10
    assert schedule(network(plan, g=2), [5, 5, 7], 3).seconds == 7


@settings(deadline=None, max_examples=40)
@given(plans(most_tasks=7), st.integers(1, 4), st.data())
def test_no_schedule_beats_its_longest_chain_or_its_work_and_none_is_worse_than_grahams_bound(
    plan: Plan, agents: int, data: st.DataObject
) -> None:
    net = network(plan)
    seconds = [data.draw(seconds_of) for _ in net.names]
    path = sum(seconds[net.names.index(name)] for name in critical_path(net, seconds))
    played = schedule(net, seconds, agents)

    assert max(path, sum(seconds) / agents) <= played.seconds + 1e-9
    assert played.seconds <= sum(seconds) / agents + (1 - 1 / agents) * path + 1e-9
    assert 1 <= played.peak <= min(agents, len(seconds))
    assert schedule(net, seconds, len(seconds)).seconds == path
