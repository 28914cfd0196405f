"""The planner's desk: where a request, what is known of the repository and a model come together into a proposal."""

import math
from dataclasses import dataclass

from graftline.errors import GraftlineError
from graftline.journal import EventKind
from graftline.patch import PlanPatch
from graftline.plan import Plan, graph_of
from graftline.planning.asking import Ask
from graftline.planning.estimate import estimate
from graftline.planning.interval import Interval
from graftline.planning.past import read_past
from graftline.planning.patches import MadePatch, RecordedPatch, read_patch, write_patch
from graftline.planning.patching import make_patch
from graftline.planning.planner import Job
from graftline.planning.proposals import Proposed, read_proposal, write_proposal
from graftline.planning.scaffold import CheckScaffold
from graftline.run import Run


@dataclass(frozen=True)
class Desk:
    """What a planner works with: what it is asked about, how it is asked, and how its acceptance tests are tried."""

    job: Job
    ask: Ask
    check_scaffold: CheckScaffold


async def propose_plan(run: Run, number: int) -> Proposed:
    """The run's proposal of that number: the recorded one, else the plan its request gave, else one made now.

    Raises:
        PlannerError: nobody can be asked, or no valid plan came of it.
    """
    known = read_proposal(run.folder, number)
    if known is not None:
        return known
    proposed = await _make_proposal(run, number)
    write_proposal(run.folder, proposed)
    run.journal.append(
        EventKind.PLAN_PROPOSED,
        number=number,
        by=proposed.by,
        title=proposed.plan.title,
        tasks=list(graph_of(proposed.plan).order),
    )
    return proposed


async def _make_proposal(run: Run, number: int) -> Proposed:
    if run.pinned.given is not None:
        return Proposed(number=number, by="request", plan=run.pinned.given)
    raise NotImplementedError


async def patch_plan(run: Run, number: int) -> RecordedPatch:
    """The run's patch of that number, which a failed task asked for: made now unless it was made before.

    Raises:
        PlannerError: nobody can be asked, or no valid patch came of it.
    """
    recorded = read_patch(run.folder, number)
    if recorded is None:
        raise GraftlineError(f"nobody asked for patch {number} of run {run.pinned.name}")
    if recorded.made is not None:
        return recorded
    desk = await _open_desk(run)
    taken = [task.id for task in run.pinned.tasks]
    proposed = await make_patch(desk.job, recorded.before, recorded.setback, desk.ask, desk.check_scaffold, taken=taken)
    made = MadePatch(
        patch=proposed.patch,
        after=proposed.patched.plan,
        removed=dict(proposed.patched.removed),
        expected_usd=_expected_usd(run, proposed.patch),
        notes=proposed.notes,
    )
    recorded = recorded.model_copy(update={"made": made})
    write_patch(run.folder, recorded)
    return recorded


async def _open_desk(run: Run) -> Desk:
    raise NotImplementedError


def _expected_usd(run: Run, patch: PlanPatch) -> float:
    """What the new tasks of a patch are expected to cost; one whose cost nobody tells counts as under the caps."""
    if not patch.new_tasks:
        return 0.0
    alone = {"depends_on": (), "after": ()}
    plan = Plan(tasks=tuple(task.model_copy(update=alone) for task in patch.new_tasks))
    past = read_past(run.folder.store, run.ledger)
    costs = [each.cost_usd for each in estimate(plan, run.settings, past).tasks]
    return sum(run.settings.cost.unknown_call_usd if cost is None else _middle(cost) for cost in costs)


def _middle(cost: Interval) -> float:
    """What half of the costs stay below that an interval is for, as far as they are spread like factors."""
    return math.sqrt(cost.low * cost.high) or cost.high
