"""Waits for a person's approval: the run is paused with a form, or suspended where it is a deployment's."""

from graftline.approvals import (
    CheckEdited,
    Decision,
    PendingApproval,
    What,
    count_asked,
    decision_on,
    is_attended,
    parse_edited,
    record_asked,
    record_decision,
    unread_form,
)
from graftline.errors import GraftlineError, ManifestError
from graftline.journal import EventKind
from graftline.plan import Plan
from graftline.preflight import check_plan
from graftline.run import Run
from graftline.tasks.approval import (
    Approval,
    can_suspend,
    describe_form,
    form_name,
    form_of,
    own_flow_run,
    pause,
    read_form,
    suspend,
)
from graftline.tasks.watch import is_cancelled


def anything(plan: Plan) -> tuple[()]:
    """Nothing is wrong with an edited plan that is not wrong with any."""
    del plan
    return ()


async def approve(
    run: Run, what: What, number: int, described: str, plan: Plan, *, check: CheckEdited = anything
) -> Decision:
    """What a person decides about a plan that is described in Markdown; waits as long as `[timeouts]` lets it.

    Asked once: a run that is entered again finds the decision in its journal, or in the form that the process before it
    put up. An edited plan that cannot run, or in which `check` finds something, is not taken, and the person is asked
    again. When nobody decides in time, or the run is cancelled meanwhile, that is a rejection without a comment.
    `run.stop_reason` then says why nothing new starts; without a patch that nobody decided about, the run goes on.

    Raises:
        Pause: the run is suspended; it goes on in another process, from its top.
    """
    entries = run.journal.entries()
    if (decided := decision_on(entries, what, number)) is not None:
        return decided
    form = unread_form(entries, what, number)
    answer = await read_form(run.id, form) if form is not None else None
    problem = ""
    while True:
        answer = answer or await ask(run, what, number, describe_form(described, problem), plan)
        if answer is None:
            return Decision("reject")
        try:
            decision = await decide(run, answer, plan, check)
        except GraftlineError as error:
            answer, problem = None, str(error)
            run.journal.append(EventKind.WARNING, text=f"{what} {number} still waits: {problem}")
            continue
        record_decision(run.journal, what, number, decision)
        return decision


async def ask(run: Run, what: What, number: int, described: str, plan: Plan) -> Approval | None:
    """What a person fills into a form that is put up now; None when nobody does, which is said."""
    seconds = run.settings.timeouts.approval_seconds
    is_suspended = can_suspend(own_flow_run()) and not is_attended()
    # Another one each time: Prefect takes a key of a flow run once.
    key = f"{what}-{number}-{count_asked(run.journal.entries()) + 1}"
    pending = PendingApproval(what, number, form_name(key, suspended=is_suspended), described, plan)
    form = form_of(pending)
    record_asked(run.journal, pending, run.pinned.name)
    try:
        if is_suspended:
            # Before it is, or whoever finds this process gone would take it for killed.
            run.journal.append(EventKind.RUN_SUSPENDED, reason=f"{pending} waits for a person's approval")
            await suspend(key, form, seconds)
        with run.clock.stopped():
            answer = await pause(key, form, seconds)
    except RuntimeError:  # Prefect pauses no run that is to be cancelled
        if not await is_cancelled(run):
            raise
        return None
    if answer is None:
        why = f"nobody decided about {pending} within {seconds:g} s"
        if what == "plan":
            run.stop_reason = run.stop_reason or why
        else:
            run.journal.append(EventKind.WARNING, text=why)
    return answer


async def decide(run: Run, answer: Approval, proposed: Plan, check: CheckEdited) -> Decision:
    """The decision that a filled-in form stands for.

    Raises:
        GraftlineError: its edited plan cannot run; the message names every problem.
    """
    comment = answer.comment.strip()
    if answer.decision == "reject" or not answer.plan.strip():
        return Decision(answer.decision, comment)
    plan = parse_edited(answer.plan)
    if plan == proposed:
        return Decision("approve", comment)
    await check_plan(plan, run.settings, run.environ)
    if problems := check(plan):
        raise ManifestError(tuple(problems))
    return Decision("approve", comment, plan)
