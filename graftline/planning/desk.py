"""The planner's desk: where a request, what is known of the repository and a model come together into a proposal."""

from graftline.journal import EventKind
from graftline.plan import graph_of
from graftline.planning.proposals import Proposed, read_proposal, write_proposal
from graftline.run import Run


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
