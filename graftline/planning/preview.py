"""What a person sees of a plan before it is paid for: its tasks, who does them, what they may cost, and what may clash.

The model is the JSON of `graftline plan --json`; `graftline.report.preview_text` and `preview_markdown` show it.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from graftline.agents.routing import route_of
from graftline.agents.tiers import Tier
from graftline.git.repository import Repository
from graftline.ledger import Account, Ledger
from graftline.plan import Graph, Plan, graph_of
from graftline.planning.advice import Advice, advise
from graftline.planning.conflicts import PredictedConflict
from graftline.planning.estimate import RunEstimate, estimate
from graftline.planning.past import Past, read_past
from graftline.planning.proposals import Proposed
from graftline.run import Run
from graftline.settings import Settings
from graftline.store import repository_place, state_place


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
    by: Literal["planner", "request"] = Field(description="Whether the planner made the plan or it was given")
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


def prospects_here(plan: Plan, settings: Settings, repository: Repository, environ: Mapping[str, str]) -> Prospects:
    """What a run of the plan comes to in a repository, by what it has seen so far; nothing is made."""
    state_dir = state_place(environ)
    store = repository_place(state_dir, str(repository.common_dir))
    past = read_past(store, Ledger.open(state_dir)) if store.runs.is_dir() else Past()
    return prospects_of(plan, settings, past)


def preview_of_run(run: Run, proposed: Proposed) -> Preview:
    """The preview of a plan that is proposed to an open run."""
    prospects = prospects_of(
        proposed.plan,
        run.settings,
        read_past(run.folder.store, run.ledger),
        planning=run.ledger.account(run.id),
    )
    return preview_of(proposed.plan, by=proposed.by, prospects=prospects, notes=proposed.notes)


def preview_of(
    plan: Plan,
    *,
    by: Literal["planner", "request"] = "request",
    prospects: Prospects | None = None,
    notes: Sequence[str] = (),
) -> Preview:
    """The preview of a plan."""
    return Preview(plan=plan, order=graph_of(plan).order, by=by, prospects=prospects, notes=tuple(notes))
