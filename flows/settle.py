"""Settling the plan: the run goes by the one its request gave, or by the planner's, once that is approved."""

from itertools import count

from graftline.errors import CannotRunError, PlannerError, UserError
from graftline.flows.approval import approve
from graftline.journal import EventKind
from graftline.plan import Plan
from graftline.planning.preview import preview_of
from graftline.planning.prospects import prospects_in
from graftline.report.preview_markdown import preview_markdown
from graftline.run import REJECTED, Run
from graftline.tasks.plan import propose


async def settle(run: Run) -> bool:
    """Whether the run has a plan to go by; when it has none, `run.stop_reason` says why.

    Every step finds what is there of it: a proposal that was made is not made again, and nobody is asked twice.
    """
    if run.settled is None:
        try:
            plan = await find_plan(run)
        except (PlannerError, UserError, CannotRunError) as error:
            run.stop_reason = run.stop_reason or str(error)
            return False
        if plan is None:
            return False
        run.adopt(plan)
    if not any(entry.event is EventKind.PLAN_SETTLED for entry in run.journal.entries()):
        await announce(run)
    run.survey = None
    return True


async def announce(run: Run) -> None:
    """Write down the plan the run goes by, with what is expected of it: what comes of it is held against that."""
    prospects = await prospects_in(run, run.plan)
    run.journal.append(
        EventKind.PLAN_SETTLED,
        title=run.plan.title,
        tasks=list(run.graph.order),
        waits=run.waits,
        estimate=prospects.estimate.model_dump(mode="json"),
        forecast=prospects.forecast.model_dump(mode="json"),
    )


async def find_plan(run: Run) -> Plan | None:
    """The plan to go by; None when a person rejected what there was, or the run is stopped."""
    for number in count(1):
        proposed = await propose(run.id, number)
        for note in proposed.notes:
            run.journal.append(EventKind.PLAN_NOTED, text=note)
        if not run.settings.planner.approve:
            return proposed.plan
        prospects = await prospects_in(run, proposed.plan)
        described = preview_markdown(preview_of(proposed.plan, by=proposed.by, prospects=prospects))
        decision = await approve(run, "plan", number, described, proposed.plan)
        if decision.kind == "approve":
            return decision.plan or proposed.plan
        if run.stop_reason:
            return None
        if proposed.by == "request" or not decision.comment:
            run.stop_reason = ": ".join(filter(None, [REJECTED, decision.comment]))
            return None
    return None
