"""Which agent an attempt of a task is given to: by name, tier, label or default, and after failed attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.outcome import OutcomeKind
from graftline.agents.profiles import AnyProfile, ClaudeCodeProfile, CommandProfile
from graftline.agents.routing import CIRCUMSTANCES, next_agent, plan_agents, route_of
from graftline.agents.tiers import TIERS, Tier
from graftline.errors import SettingsError
from graftline.plan import Plan, TaskSpec
from graftline.records import AttemptRecord, AttemptState
from graftline.settings import AgentSettings, ModelSettings, Settings
from tests.test_records import record

PROFILES: dict[str, AnyProfile] = {
    "haiku": ClaudeCodeProfile(model="haiku", tier="fast"),
    "sonnet": ClaudeCodeProfile(model="sonnet", tier="standard"),
    "opus": ClaudeCodeProfile(model="opus", tier="deep"),
    "plain": CommandProfile(command=["true"]),
}
NAMES: dict[Tier, str] = {"fast": "haiku", "standard": "sonnet", "deep": "opus"}
LABELS: dict[str, Tier] = {"docs": "fast", "api": "standard", "locking": "deep"}

rising = st.sets(st.sampled_from(TIERS)).map(lambda tiers: [tier for tier in TIERS if tier in tiers])


def settings(*, backend: str = "claude-code", escalation: list[Tier] | None = None) -> Settings:
    return Settings(
        agent=AgentSettings(backend=backend),
        agents=PROFILES,
        models=ModelSettings(labels=LABELS, escalation=escalation or []),
    )


def spec(agent: str | None = None, tier: Tier | None = None, *labels: str) -> TaskSpec:
    return TaskSpec(id="a", prompt="do it", agent=agent, tier=tier, labels=labels)


def names(known: Settings, asked: TaskSpec) -> list[str]:
    return [agent.profile for agent in route_of(known, asked)]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        (spec("plain", "deep", "docs"), "plain"),
        (spec("command-of-its-own", "deep"), None),
        (spec(None, "standard", "locking"), "sonnet"),
        (spec(None, None, "docs", "locking", "api"), "opus"),
        (spec(None, None, "docs", "unknown"), "haiku"),
        (spec(None, None, "unknown"), "claude-code"),
        (spec(), "claude-code"),
    ],
)
def test_a_name_goes_before_a_tier_before_the_deepest_label_before_the_default(
    asked: TaskSpec, first: str | None
) -> None:
    if first is None:
        with pytest.raises(SettingsError, match="no agent profile or backend type"):
            route_of(settings(), asked)
    else:
        assert names(settings(), asked) == [first]


@given(
    escalation=rising,
    agent=st.none() | st.sampled_from(sorted(PROFILES)),
    tier=st.none() | st.sampled_from(TIERS),
    labels=st.lists(st.sampled_from(sorted(LABELS))),
    backend=st.sampled_from(["claude-code", *PROFILES]),
)
def test_a_route_begins_with_the_agent_and_rises_through_the_deeper_tiers_of_the_escalation(
    escalation: list[Tier], agent: str | None, tier: Tier | None, labels: list[str], backend: str
) -> None:
    asked = spec(agent, tier, *labels)
    first, *rest = route_of(settings(backend=backend, escalation=escalation), asked)

    assert [first.profile] == names(settings(backend=backend), asked)
    assert [each.profile for each in rest] == [
        NAMES[tier] for tier in escalation if first.tier and TIERS.index(tier) > TIERS.index(first.tier)
    ]
    assert all(each.tier and each.backend.type == "claude-code" for each in rest)


def attempt(kind: OutcomeKind) -> AttemptRecord:
    is_interrupted = kind is OutcomeKind.INTERRUPTED
    return record(state=AttemptState.INTERRUPTED if is_interrupted else AttemptState.FAILED, outcome=kind)


@given(st.lists(st.sampled_from(OutcomeKind)))
def test_every_failure_of_the_agents_own_leads_one_step_on_and_the_last_one_stays(kinds: list[OutcomeKind]) -> None:
    route = route_of(settings(escalation=list(TIERS)), spec(None, "fast"))
    done = record(state=AttemptState.SUCCEEDED)
    failures = [kind for kind in kinds if kind not in CIRCUMSTANCES]

    agent = next_agent(route, [done, *map(attempt, kinds)])

    assert agent.profile == ["haiku", "sonnet", "opus"][min(len(failures), 2)]


def test_what_a_deeper_agent_would_have_met_with_too_is_no_failure_of_the_agents_own() -> None:
    # Whoever adds a kind of outcome decides: does it tell of the agent?
    own = set(OutcomeKind) - CIRCUMSTANCES
    assert own == {
        *(OutcomeKind.OK, OutcomeKind.NO_CHANGE, OutcomeKind.FAILED, OutcomeKind.PERMISSION_DENIED),
        *(OutcomeKind.CONTEXT_EXHAUSTED, OutcomeKind.MAX_TURNS, OutcomeKind.STALLED, OutcomeKind.TIMED_OUT),
    }


def test_the_agents_of_a_plan_are_all_that_may_be_called_each_once() -> None:
    known = settings(backend="haiku", escalation=["fast", "deep"])
    plan = Plan(tasks=(spec(), spec("plain").model_copy(update={"id": "b"}), TaskSpec(id="c", prompt="x", tier="fast")))

    assert [str(agent) for agent in plan_agents(plan, known)] == ["haiku (fast)", "opus (deep)", "plain"]


def test_a_tier_that_no_profile_has_is_refused_with_what_to_add() -> None:
    known = Settings(agents={"haiku": PROFILES["haiku"]})

    with pytest.raises(SettingsError, match=r"task 'a' asks for the tier 'deep', .* add tier = \"deep\""):
        route_of(known, spec(None, "deep"))
