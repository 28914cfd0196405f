"""What a run of a plan comes to in a repository: who does the tasks, what they may cost, what may collide."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import combinations

from pydantic import BaseModel, ConfigDict, Field

from graftline.agents.routing import route_of
from graftline.agents.tiers import Tier
from graftline.git.repository import Repository
from graftline.ledger import Account, Ledger, Role
from graftline.plan import Plan, graph_of
from graftline.planning.advice import advise
from graftline.planning.conflicts import PredictedConflict, predict_conflicts
from graftline.planning.estimate import RunEstimate, estimate
from graftline.planning.forecast import Forecast
from graftline.planning.past import Past, read_past
from graftline.planning.survey import Survey, survey, survey_of
from graftline.run import Run
from graftline.settings import Settings
from graftline.store import repository_place, state_place

MOST_CONFLICTS = 200
"""How many predicted conflicts are kept: a hundred unordered tasks are five thousand pairs, for a journal's line."""


class Part(BaseModel):
    """A part of what is said of a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AgentPreview(Part):
    """Who an attempt is given to."""

    profile: str = Field(description="Agent profile, or backend type where none is named")
    tier: Tier | None

    def __str__(self) -> str:
        return f"{self.profile} ({self.tier})" if self.tier else self.profile


class Prospects(Part):
    """What a run of the plan comes to under the settings of a repository."""

    agents: dict[str, AgentPreview] = Field(description="Who each task's first attempt is given to, by task")
    escalation: tuple[AgentPreview, ...] = Field(description="Who comes after failed attempts")
    at_once: int = Field(ge=1, description="Agents at a time")
    cap_usd: float = Field(ge=0)
    estimate: RunEstimate
    forecast: Forecast = Field(description="What may collide, the likeliest first, and how many agents it is worth")


def prospects_of(
    plan: Plan,
    settings: Settings,
    past: Past,
    *,
    conflicts: Sequence[PredictedConflict] = (),
    planning: Account | None = None,
) -> Prospects:
    """What a run of the plan comes to; `planning` are the calls that were made for the plan.

    Raises:
        SettingsError: a task asks for an agent or a tier that there is not.
    """
    routes = {
        spec.id: [AgentPreview(profile=agent.profile, tier=agent.tier) for agent in route_of(settings, spec)]
        for spec in plan.tasks
    }
    expected = estimate(plan, settings, past, planning=planning)
    return Prospects(
        agents={task: route[0] for task, route in routes.items()},
        escalation=tuple(max(routes.values(), key=len)[1:]),
        at_once=settings.agent.max_concurrent,
        cap_usd=settings.cost.max_usd,
        estimate=expected,
        forecast=Forecast(advice=advise(plan, conflicts, expected), conflicts=tuple(conflicts[:MOST_CONFLICTS])),
    )


async def prospects_here(
    plan: Plan, settings: Settings, repository: Repository, commit: str | None, environ: Mapping[str, str]
) -> Prospects:
    """What a run of the plan would come to in a repository, from a commit of it; without one, nothing is predicted.

    Nothing is made in the state directory.

    Raises:
        SettingsError: a task asks for an agent or a tier that there is not.
    """
    state_dir = state_place(environ)
    store = repository_place(state_dir, str(repository.common_dir))
    past = read_past(store, Ledger.open(state_dir)) if store.runs.is_dir() else Past()
    look = partial(survey, repository, commit or "", environ)
    conflicts = () if commit is None else await find_conflicts(plan, look)
    return prospects_of(plan, settings, past, conflicts=conflicts)


async def prospects_in(run: Run, plan: Plan) -> Prospects:
    """What a plan comes to that an open run may go by, what planning has cost included.

    Raises:
        SettingsError: a task asks for an agent or a tier that there is not.
    """
    calls = run.ledger.account(run.id).calls
    return prospects_of(
        plan,
        run.settings,
        read_past(run.folder.store, run.ledger),
        conflicts=await find_conflicts(plan, partial(survey_of, run)),
        planning=Account(tuple(call for call in calls if call.role is Role.PLANNER)),
    )


async def find_conflicts(plan: Plan, look: Callable[[], Awaitable[Survey]]) -> tuple[PredictedConflict, ...]:
    """The predicted conflicts of a plan; nobody looks at the repository for tasks that cannot collide."""
    graph = graph_of(plan)
    writers = [spec.id for spec in plan.tasks if not spec.read_only]
    if all(graph.is_ordered(one, other) for one, other in combinations(writers, 2)):
        return ()
    seen = await look()
    return predict_conflicts(plan, index=seen.index, history=seen.history)
