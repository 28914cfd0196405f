"""Settling the plan: the run goes by the one its request gave, or by the planner's, once that is approved."""

from graftline.errors import PlannerError
from graftline.journal import EventKind
from graftline.run import Run
from graftline.tasks.plan import propose


async def settle(run: Run) -> bool:
    """Whether the run has a plan to go by; when it has none, `run.stop_reason` says why.

    Every step finds what is there of it: a proposal that was made is not made again, and nobody is asked twice.
    """
    if run.settled is None:
        try:
            proposed = await propose(run.id, 1)
        except PlannerError as error:
            run.stop_reason = run.stop_reason or str(error)
            return False
        for note in proposed.notes:
            run.journal.append(EventKind.PLAN_NOTED, text=note)
        run.adopt(proposed.plan)
    if not any(entry.event is EventKind.PLAN_SETTLED for entry in run.journal.entries()):
        run.journal.append(EventKind.PLAN_SETTLED, title=run.plan.title, tasks=list(run.graph.order))
    return True
