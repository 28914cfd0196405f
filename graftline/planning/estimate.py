"""What a run will cost and how long it will take, as intervals that are expected to hold in 80 of 100 runs.

Each task's cost and time is a log-normal figure (`graftline.planning.outlook`), all its attempts and heal calls
together. A number of scenarios is played with them: the run's cost is the sum of its tasks' costs and of what planning
cost, its time that of the schedule a run makes of its tasks, and of what it takes besides its agents. Chance is drawn
from the names of the tasks, so the same input gives the same estimate.
"""

from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from graftline.ledger import Account
from graftline.plan import Plan, graph_of
from graftline.planning.interval import Interval
from graftline.planning.outlook import idle_outlook, outlook_of
from graftline.planning.past import Past
from graftline.planning.schedule import critical_path, network_of, schedule
from graftline.planning.spread import Scenarios
from graftline.settings import Settings

CONFIDENCE: Final = 0.8
MOST_SCENARIOS = 1000
FEWEST_SCENARIOS = 100
DRAWS = 60_000
"""Of a plan with very many tasks fewer scenarios are played, so that no estimate takes longer than some seconds."""


class TaskEstimate(BaseModel):
    """What one task is expected to come to, all its attempts and heal calls together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    cost_usd: Interval | None = Field(description="null: unknown, which is not 0")
    seconds: Interval
    basis: str = Field(description="What the figures go by")


class RunEstimate(BaseModel):
    """What a run of a plan is expected to come to."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    confidence: float = Field(default=CONFIDENCE, description="How often such an interval is expected to hold")
    tasks: tuple[TaskEstimate, ...] = Field(description="In plan order")
    cost_usd: Interval | None = Field(description="null when the cost of any call will be unknown")
    cost_known_usd: Interval = Field(description="The same without the calls whose cost will be unknown")
    planning_usd: float | None = Field(ge=0, description="What planning has cost, a part of these; null: unknown")
    seconds: Interval = Field(description="From the settled plan to the end of the run")
    critical_path: tuple[str, ...] = Field(description="The chain of tasks that takes longest")
    width: int = Field(ge=1, description="How many agents would be at work at once if nothing limited them")
    basis: str = Field(description="What the figures go by")

    def of(self, task_id: str) -> TaskEstimate:
        """The estimate of one task; KeyError when there is none."""
        for task in self.tasks:
            if task.task == task_id:
                return task
        raise KeyError(task_id)


def estimate(plan: Plan, settings: Settings, past: Past, *, planning: Account | None = None) -> RunEstimate:
    """What a run of the plan is expected to come to; `planning` are the calls that were made for the plan.

    Raises:
        SettingsError: a task asks for an agent or a tier that there is not.
    """
    planning = planning or Account()
    ids = [spec.id for spec in plan.tasks]
    outlooks = {spec.id: outlook_of(spec, settings, past) for spec in plan.tasks}
    count = max(FEWEST_SCENARIOS, min(MOST_SCENARIOS, DRAWS // len(ids)))
    cost, time = Scenarios("cost", count), Scenarios("time", count)
    costs = {task: cost.play(task, figure) for task in ids if (figure := outlooks[task].cost) is not None}
    times = {task: time.play(task, outlooks[task].seconds) for task in ids}
    network = network_of(graph_of(plan), settings.limits)
    slots = min(settings.agent.max_concurrent, settings.limits.agents or settings.agent.max_concurrent)
    idle = time.play("", idle_outlook(past))
    expected = [outlooks[task].seconds.median for task in network.names]
    known = _middle(planning.known_usd + sum(each[number] for each in costs.values()) for number in range(count))
    return RunEstimate(
        tasks=tuple(
            TaskEstimate(
                task=task,
                cost_usd=_middle(costs[task]) if task in costs else None,
                seconds=_middle(times[task]),
                basis=outlooks[task].basis,
            )
            for task in ids
        ),
        cost_usd=known if planning.cost_usd is not None and len(costs) == len(ids) else None,
        cost_known_usd=known,
        planning_usd=planning.cost_usd,
        seconds=_middle(
            besides + schedule(network, [times[task][number] for task in network.names], slots).seconds
            for number, besides in enumerate(idle)
        ),
        critical_path=critical_path(network, expected),
        width=schedule(network, expected, len(ids)).peak,
        basis="; ".join(dict.fromkeys(outlook.basis for outlook in outlooks.values())),
    )


def _middle(figures: Iterable[float]) -> Interval:
    """The interval that leaves as many scenarios below it as above."""
    ordered = sorted(figures)
    outside = round(len(ordered) * (1 - CONFIDENCE) / 2)
    return Interval(low=ordered[outside], high=ordered[-1 - outside])
