"""What is expected of one task: by what its agent has done in this repository, or by a prior that is stated as one."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from graftline.agents.routing import Agent, route_of
from graftline.agents.tiers import Tier
from graftline.budget import model_asked_for, tells_its_cost
from graftline.plan import Size, TaskSpec
from graftline.planning.past import Past, PastTask
from graftline.planning.spread import Spread, learn, spread_between
from graftline.prices import find_price
from graftline.report.wording import money
from graftline.settings import Settings

ENOUGH_TASKS = 5
"""How many tasks an agent must have done in a repository before they say what comes next, and not the prior alone."""

PRIOR_COST_USD = spread_between(0.10, 2.50)
PRIOR_SECONDS = spread_between(60, 1200)
"""One task of medium size, by an agent of the standard tier.

Public measurements of agent CLIs on SWE-bench Verified have averages of $0.04 to $1.24 and 136 to 543 s per task, by
agent and model (whatsthebestcodeagent.com; vals.ai, June 2025), and one and the same task varies up to 30 times from
run to run (arXiv 2604.22750). Here a task may also be tried again, and healed.
"""
PRIOR_IDLE_SECONDS = spread_between(15, 600)
"""What a run takes besides its agents: the project's tests twice or more often, worktrees, merges."""
SIZE_FACTORS: Mapping[Size | None, float] = {Size.SMALL: 0.5, None: 1.0, Size.MEDIUM: 1.0, Size.LARGE: 2.0}
"""How hard people say a task is has little to do with what an agent uses for it (arXiv 2604.22750)."""
TIER_FACTORS: Mapping[Tier | None, float] = {"fast": 1 / 3, None: 1.0, "standard": 1.0, "deep": 5 / 3}
"""As the prices per token of Claude's three families of models stand to one another."""
LEAST = 1e-3
"""Less than this, in dollars or seconds, is as good as this: nothing at all has no logarithm."""
NO_RUNS = "prior: no runs of this repository yet"


@dataclass(frozen=True)
class CallPrice:
    """What a task costs whose agent has a known price per call: that many times the price.

    `another` is the chance that one more call follows.
    """

    usd: float
    another: float
    most_calls: int
    shared: float = 0.0

    def figures(self, scores: Sequence[float]) -> list[float]:
        """What a task comes to at these standard normal scores."""
        beyond = (1 - NormalDist().cdf(score) for score in scores)
        return [self.usd * min(self.most_calls, 1 + int(math.log(each) / math.log(self.another))) for each in beyond]


@dataclass(frozen=True)
class Outlook:
    """What a task is expected to come to; `cost` is None when nobody will know what it costs."""

    cost: Spread | CallPrice | None
    seconds: Spread
    basis: str


def outlook_of(spec: TaskSpec, settings: Settings, past: Past) -> Outlook:
    """What is expected of a task, going by whom its first attempt is given to.

    Raises:
        SettingsError: it asks for an agent or a tier that there is not.
    """
    agent = route_of(settings, spec)[0]
    done = past.tasks_of(agent.profile)
    factor = SIZE_FACTORS[spec.size]
    seconds = _learn_by_size(PRIOR_SECONDS, [(task.seconds, task.size) for task in done])
    cost, told = _cost_outlook(spec, agent, settings, done)
    return Outlook(
        cost=cost.scaled(factor) if isinstance(cost, Spread) else cost,
        seconds=seconds.scaled(factor),
        basis="; ".join(filter(None, [_basis(agent, len(done), past), told])),
    )


def idle_outlook(past: Past) -> Spread:
    """What a run is expected to take besides its agents."""
    known = [run.idle_seconds for run in past.runs if run.idle_seconds is not None]
    return learn(PRIOR_IDLE_SECONDS, [math.log(max(seconds, LEAST)) for seconds in known])


def _basis(agent: Agent, done: int, past: Past) -> str:
    if done >= ENOUGH_TASKS:
        return f"{done} tasks of {agent.profile} in this repository"
    if not past.runs:
        return NO_RUNS
    return f"prior: {agent.profile} has done {done} of the {ENOUGH_TASKS} tasks in this repository that it takes"


def _cost_outlook(
    spec: TaskSpec, agent: Agent, settings: Settings, done: Sequence[PastTask]
) -> tuple[Spread | CallPrice | None, str]:
    """What a task is expected to cost, and what is to be said of it."""
    if agent.backend.call_cost_usd is not None:
        price = _call_price(spec, agent.backend.call_cost_usd, settings, done)
        return price, f"a call of {agent.profile} costs {money(price.usd)}"
    model = find_price(model_asked_for(settings, agent.profile), settings.prices)
    if model is not None and not model.input and not model.output:
        return _call_price(spec, 0.0, settings, done), f"the model of {agent.profile} costs nothing"
    known = [(task.cost_usd, task.size) for task in done if task.cost_usd]
    if len(known) < ENOUGH_TASKS and not tells_its_cost(settings, agent.profile, agent.backend):
        return None, f"what a call of {agent.profile} costs is not known"
    return _learn_by_size(PRIOR_COST_USD.scaled(TIER_FACTORS[agent.tier]), known), ""


def _call_price(spec: TaskSpec, usd: float, settings: Settings, done: Sequence[PastTask]) -> CallPrice:
    """The price of an agent's calls; the chance of another one is the mean of a beta distribution, 1 in 6 at first."""
    more = sum(task.calls - 1 for task in done)
    retries = settings.retries.max_per_task if spec.max_retries is None else spec.max_retries
    return CallPrice(
        usd, another=(1 + more) / (6 + more + len(done)), most_calls=1 + retries + settings.heal.max_per_task
    )


def _learn_by_size(prior: Spread, figures: Iterable[tuple[float, Size | None]]) -> Spread:
    """What a task of medium size is expected to come to after these; the prior while they are too few."""
    logarithms = [math.log(max(figure, LEAST) / SIZE_FACTORS[size]) for figure, size in figures]
    return learn(prior, logarithms) if len(logarithms) >= ENOUGH_TASKS else prior
