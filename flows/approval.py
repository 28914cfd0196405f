"""Waits for a person's approval: the run is paused with a form, or suspended where it is a deployment's."""

from graftline.approvals import (
    DESCRIPTION_CHARS,
    CheckEdited,
    Decision,
    PendingApproval,
    What,
    asked_data,
    count_asked,
    decision_on,
    given_data,
    is_attended,
    last_asked,
    parse_edited,
)
from graftline.errors import GraftlineError, ManifestError, UserError
from graftline.journal import EventKind
from graftline.plan import Plan
from graftline.preflight import check_environments, probe_agents
from graftline.run import Run
from graftline.tasks.approval import Approval, can_suspend, form_name, pause, read_form, suspend
from graftline.tasks.watch import is_cancelled
from graftline.text import fenced, plain_text


def anything(plan: Plan) -> tuple[()]:
    """Nothing is wrong with an edited plan that is not wrong with any."""
    del plan
    return ()


async def approve(
    run: Run, what: What, number: int, described: str, plan: Plan, *, check: CheckEdited = anything
) -> Decision:
    """What a person decides about a plan that is described in Markdown; waits as long as `[timeouts]` lets it.

    Asked once: a run that is entered again finds the decision, in its journal or in the form that the process before it
    put up. An edited plan that cannot run, or in which `check` finds something, is not taken, and the person is asked
    again. When nobody decides in time, or the run is cancelled meanwhile, that is a rejection without a comment, and
    `run.stop_reason` says so.

    Raises:
        Pause: the run is suspended; it goes on in another process, from its top.
    """
    entries = run.journal.entries()
    if (before := decision_on(entries, what, number)) is not None:
        return before
    pending = last_asked(entries, what, number)
    answer = await read_form(run.id, pending.form) if pending else None
    problem = ""
    while pending is None or answer is None:
        pending, answer = await ask(run, what, number, described, plan, problem)
        if answer is None:
            return Decision("reject")
    while True:
        try:
            decision = await decide(run, answer, check)
        except GraftlineError as error:
            problem = str(error)
            run.journal.append(EventKind.WARNING, text=f"asked again: {problem}")
    run.journal.append(EventKind.APPROVAL_GIVEN, **given_data(pending, decision))
    return decision
