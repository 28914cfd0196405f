"""How much of the caps one call may take, and which caps there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.backend import AgentBackend, Capabilities
from graftline.agents.claude_code import ClaudeCodeBackend
from graftline.agents.command import CommandBackend
from graftline.agents.profiles import ClaudeCodeProfile, CommandProfile
from graftline.budget import MINIMUM_CALL_USD, asked_usd, caps_on, model_asked_for, tells_its_cost, tightest
from graftline.caps import Cap, Room, Scope
from graftline.ledger import NextCall, Role
from graftline.settings import CostSettings, Settings

KEEPS_TO_A_LIMIT = ClaudeCodeBackend(ClaudeCodeProfile())
UNKNOWN = CommandBackend(CommandProfile(command=["agent"]))


def priced(cost_usd: float) -> AgentBackend:
    return CommandBackend(CommandProfile(command=["agent"], cost_usd=cost_usd))


def room(scope: Scope, left_usd: float) -> Room:
    return Room(Cap(scope, 10), counted_usd=10 - left_usd, held_usd=0)


@pytest.mark.parametrize(
    ("backend", "rooms", "concurrent", "expected"),
    [
        (KEEPS_TO_A_LIMIT, [room(Scope.RUN, 5)], 4, 1.25),
        (KEEPS_TO_A_LIMIT, [room(Scope.RUN, 5)], 1, 5),
        (KEEPS_TO_A_LIMIT, [room(Scope.RUN, 5), room(Scope.DAY, 2)], 2, 1),
        (KEEPS_TO_A_LIMIT, [room(Scope.TASK, 2), room(Scope.RUN, 4)], 4, 1),
        (KEEPS_TO_A_LIMIT, [room(Scope.TASK, 0.5), room(Scope.RUN, 4)], 4, 0.5),  # of one task, one call at a time
        (KEEPS_TO_A_LIMIT, [room(Scope.RUN, 0.03)], 8, MINIMUM_CALL_USD),
        (KEEPS_TO_A_LIMIT, [room(Scope.RUN, -1)], 1, MINIMUM_CALL_USD),  # which does not fit, and says so
        (UNKNOWN, [room(Scope.RUN, 5)], 4, 0.7),
        (UNKNOWN, [room(Scope.RUN, 0.1)], 4, 0.7),
        (priced(0.3), [room(Scope.RUN, 5)], 4, 0.3),
        (priced(0), [room(Scope.RUN, -1)], 4, 0),
    ],
)
def test_a_call_asks_for_its_price_or_a_fair_share_or_the_stated_estimate(
    backend: AgentBackend, rooms: list[Room], concurrent: int, expected: float
) -> None:
    assert asked_usd(rooms, backend, unknown_call_usd=0.7, concurrent=concurrent) == pytest.approx(expected)


def test_the_cap_with_the_smallest_share_bounds_a_call() -> None:
    rooms = [room(Scope.TASK, 2), room(Scope.RUN, 4), room(Scope.DAY, 5)]
    assert tightest(rooms, concurrent=4).cap.scope is Scope.RUN
    assert tightest(rooms, concurrent=1).cap.scope is Scope.TASK


@given(
    left_usd=st.dictionaries(st.sampled_from(Scope), st.floats(0.02, 100), min_size=1),
    concurrent=st.integers(1, 64),
)
def test_the_share_of_a_call_always_fits_under_every_cap(left_usd: dict[Scope, float], concurrent: int) -> None:
    rooms = [room(scope, left) for scope, left in left_usd.items()]
    asked = asked_usd(rooms, KEEPS_TO_A_LIMIT, unknown_call_usd=1, concurrent=concurrent)
    assert MINIMUM_CALL_USD <= asked <= min(one.left_usd for one in rooms) + 1e-9


def test_a_call_counts_under_the_caps_that_are_set_for_what_it_is_for() -> None:
    cost = CostSettings(max_usd=5, task_usd=1, day_usd=20, deployment_usd=100)
    task = NextCall(run_id="r", role=Role.TASK, backend="b", task="a", deployment="nightly")
    planner = NextCall(run_id="r", role=Role.PLANNER, backend="b")

    assert caps_on(task, cost) == (
        Cap(Scope.TASK, 1),
        Cap(Scope.RUN, 5),
        Cap(Scope.DAY, 20),
        Cap(Scope.DEPLOYMENT, 100),
    )
    assert caps_on(planner, cost) == (Cap(Scope.RUN, 5), Cap(Scope.DAY, 20))
    assert caps_on(task, CostSettings()) == (Cap(Scope.RUN, 5),)
    assert caps_on(task, CostSettings(task_usd=0))[0] == Cap(Scope.TASK, 0), "a number is a cap, 0 too"


class Silent(ClaudeCodeBackend):
    """A CLI that tells no cost."""

    capabilities = Capabilities()


@pytest.mark.parametrize(
    ("profile", "backend", "is_known"),
    [
        ("free", priced(0), True),
        ("free", UNKNOWN, False),
        ("claude-code", KEEPS_TO_A_LIMIT, True),
        ("priced", Silent(ClaudeCodeProfile()), True),
        ("other", Silent(ClaudeCodeProfile()), False),
        ("chooses", Silent(ClaudeCodeProfile()), True),  # it may choose one that has a price
    ],
)
def test_it_can_be_said_beforehand_whose_cost_nobody_will_know(
    profile: str, backend: AgentBackend, *, is_known: bool
) -> None:
    cli = {"type": "claude-code"}
    settings = Settings.model_validate(
        {
            "agents": {
                "free": {"type": "command", "command": ["agent"]},
                "priced": {**cli, "model": "gpt-5"},
                "other": {**cli, "model": "gpt-6"},
                "chooses": cli,
            },
            "prices": {"gpt-5": {"input": 1, "output": 2}},
        }
    )
    assert tells_its_cost(settings, profile, backend) is is_known


def test_a_bare_type_asks_for_the_model_of_the_run_only_where_it_is_the_runs_agent() -> None:
    settings = Settings.model_validate({"agent": {"backend": "claude-code", "model": "sonnet"}})
    assert (model_asked_for(settings, "claude-code"), model_asked_for(settings, "command")) == ("sonnet", "")
