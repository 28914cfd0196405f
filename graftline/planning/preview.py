"""What a person sees of a plan before it is paid for: its tasks, who does them, what they may cost, and what may clash.

The model is the JSON of `graftline plan --json`; `graftline.report.preview_text` and `preview_markdown` show it.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from graftline.agents.routing import route_of
from graftline.agents.tiers import Tier
from graftline.ledger import Account
from graftline.plan import Graph, Plan, graph_of
from graftline.planning.advice import Advice, advise
from graftline.planning.conflicts import PredictedConflict
from graftline.planning.estimate import RunEstimate, estimate
from graftline.planning.past import Past
from graftline.settings import Settings


class Part(BaseModel):
    """A part of the preview."""

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
    conflicts: tuple[PredictedConflict, ...] = Field(description="Pairs of unordered tasks, the likeliest first")
    advice: Advice


class Preview(Part):
    """A plan, and what is to be expected of it."""

    plan: Plan
    order: tuple[str, ...] = Field(description="The tasks in the order in which their work is put together")
    planner: str = Field(description="Who made the plan; empty: it was given")
    prospects: Prospects | None = Field(description="null: there is no repository, so nobody knows who does the tasks")
    notes: tuple[str, ...] = Field(description="What else a person should know")

    @property
    def graph(self) -> Graph:
        """The shape of the plan."""
        return graph_of(self.plan)


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
        conflicts=tuple(conflicts),
        advice=advise(plan, conflicts, expected),
    )


def preview_of(
    plan: Plan, *, prospects: Prospects | None = None, planner: str = "", notes: Sequence[str] = ()
) -> Preview:
    """The preview of a plan."""
    return Preview(plan=plan, order=graph_of(plan).order, planner=planner, prospects=prospects, notes=tuple(notes))
