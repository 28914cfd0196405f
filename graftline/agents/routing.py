"""Which agent a task is given to: the one it names, that of the tier it or its labels ask for, or the run's own.

After failed attempts the next one goes to a deeper tier, along `[models] escalation`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from graftline.agents.backend import AgentBackend
from graftline.agents.backends import resolve_backend
from graftline.agents.outcome import OutcomeKind
from graftline.agents.tiers import Tier, deepest, is_deeper
from graftline.errors import SettingsError
from graftline.plan import Plan, TaskSpec
from graftline.records import AttemptRecord, AttemptState
from graftline.settings import Settings

CIRCUMSTANCES = frozenset(
    {
        *(OutcomeKind.AUTH, OutcomeKind.BILLING, OutcomeKind.CONFIG, OutcomeKind.BUDGET, OutcomeKind.INTERRUPTED),
        *(OutcomeKind.RATE_LIMITED, OutcomeKind.OVERLOADED, OutcomeKind.TRANSIENT, OutcomeKind.STUCK),
    }
)
"""Ends that say nothing of the agent: a deeper one would have met with the same."""


@dataclass(frozen=True)
class Agent:
    """Who an attempt is given to: a profile by its name, or a backend type where none is named."""

    profile: str
    tier: Tier | None
    backend: AgentBackend

    def __str__(self) -> str:
        return f"{self.profile} ({self.tier})" if self.tier else self.profile


def route_of(settings: Settings, spec: TaskSpec) -> tuple[Agent, ...]:
    """Who a task's attempts are given to: the first one, and after each failed attempt the next, as far as they go.

    An agent without a tier has its place in no escalation, and keeps the task.

    Raises:
        SettingsError: there is no such agent, or no profile of a tier that is asked for.
    """
    tier = None if spec.agent else spec.tier or deepest(_tiers_of_labels(settings, spec))
    name = _profile_of(settings, tier, spec) if tier else spec.agent or settings.agent.backend
    first = _agent(settings, name)
    deeper = [tier for tier in settings.models.escalation if first.tier and is_deeper(tier, first.tier)]
    return (first, *(_agent(settings, _profile_of(settings, tier, spec)) for tier in deeper))


def next_agent(route: tuple[Agent, ...], records: Iterable[AttemptRecord]) -> Agent:
    """Who of a task's route comes next, by the records of its attempts so far."""
    failed = sum(each.state is AttemptState.FAILED and each.outcome not in CIRCUMSTANCES for each in records)
    return route[min(failed, len(route) - 1)]


def plan_agents(plan: Plan | None, settings: Settings) -> tuple[Agent, ...]:
    """Every agent that may be called for a plan, each once; without one, the agent of tasks that name none.

    Raises:
        SettingsError: as `route_of`.
    """
    if plan is None:
        return (_agent(settings, settings.agent.backend),)
    agents = {agent.profile: agent for spec in plan.tasks for agent in route_of(settings, spec)}
    return tuple(agents.values())


def _agent(settings: Settings, name: str) -> Agent:
    profile = settings.agents.get(name)
    return Agent(name, profile.tier if profile else None, resolve_backend(settings, name))


def _tiers_of_labels(settings: Settings, spec: TaskSpec) -> list[Tier]:
    return [settings.models.labels[label] for label in spec.labels if label in settings.models.labels]


def _profile_of(settings: Settings, tier: Tier, spec: TaskSpec) -> str:
    """The profile of a tier; no settings are read in which two profiles have the same one."""
    for name, profile in settings.agents.items():
        if profile.tier == tier:
            return name
    raise SettingsError(
        f"task {spec.id!r} asks for the tier {tier!r}, which no profile has: "
        f'add tier = "{tier}" to the profile that it means, [agents.NAME]'
    )
