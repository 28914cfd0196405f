"""The form in which a person approves a plan or rejects it, how it is put up, and how it is sent.

A flow run of a script is paused with it. One of a deployment is suspended: its process ends, and another one goes on
once the form is filled in.
"""

import math
from uuid import UUID

import anyio
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.flow_runs import apause_flow_run, asuspend_flow_run
from prefect.input import RunInput, aread_flow_run_input
from pydantic import Field, ValidationError

from graftline.approvals import COMMENT_CHARS, PLAN_CHARS, Kind, PendingApproval
from graftline.manifest import dump_manifest
from graftline.tasks.people import POLL_SECONDS, response_key, send_input
from graftline.text import fenced

DESCRIPTION_CHARS = 50_000
PROBLEM_CHARS = 4_000
SPARE_SECONDS = 60
"""How much longer Prefect waits than we do, who end in good order; it would fail the flow run under our hands."""


PLAN_TITLE = "Plan"
PLAN_MEANING = "The plan file, Markdown, YAML or JSON. What is changed in it is what is approved; empty: as proposed"


class Approval(RunInput):
    """What a person decides. The decision has no default: a form that is sent off empty must not go on."""

    decision: Kind = Field(
        title="Decision", description="Approve, and agents start; reject, and the comment says what becomes of it"
    )
    comment: str = Field(
        default="",
        title="Comment",
        description="With a rejection: what is to be planned otherwise. Without it, a rejection ends the run",
        max_length=COMMENT_CHARS,
    )
    plan: str = Field(default="", title=PLAN_TITLE, description=PLAN_MEANING, max_length=PLAN_CHARS)


def describe_form(described: str, problem: str) -> str:
    """What stands above the form: what was wrong with the answer before, and what is to be decided, in Markdown."""
    again = f"**That was not taken:**\n\n{fenced(problem, PROBLEM_CHARS)}\n\n" if problem else ""
    room = DESCRIPTION_CHARS - len(again)
    cut = described if len(described) <= room else f"{described[:room]}\n\n… the rest is left out here"
    return again + cut


def form_of(pending: PendingApproval) -> type[Approval]:
    """The form that a person gets: what is to be decided stands above it, and the plan is in it, to be edited."""
    text = dump_manifest(pending.plan, "markdown")
    plan = text if len(text) <= PLAN_CHARS else ""
    field = Field(default=plan, title=PLAN_TITLE, description=PLAN_MEANING, max_length=PLAN_CHARS)
    return Approval.with_initial_data(description=pending.text, plan=field)


def form_name(key: str, *, suspended: bool) -> str:
    """Where Prefect keeps the form of a flow run that is paused or suspended under a key."""
    return f"{'suspended' if suspended else 'paused'}-{key}"


def own_flow_run() -> FlowRun | None:
    """The flow run that this is called in."""
    context = FlowRunContext.get()
    return context.flow_run if context is not None else None


def can_suspend(flow_run: FlowRun | None) -> bool:
    """Whether Prefect can start a flow run again: a deployment's own, and not one within another flow run."""
    return bool(flow_run and flow_run.deployment_id and not flow_run.parent_task_run_id)


async def pause(key: str, form: type[Approval], seconds: float) -> Approval | None:
    """What was filled in, after waiting for it in this process; None when nobody did within the seconds."""
    with anyio.move_on_after(seconds):
        timeout = math.ceil(seconds) + SPARE_SECONDS
        return await apause_flow_run(wait_for_input=form, timeout=timeout, poll_interval=POLL_SECONDS, key=key)
    return None


async def suspend(key: str, form: type[Approval], seconds: float) -> None:
    """End the flow run for now: Prefect's `Pause` is raised, which has to reach Prefect."""
    await asuspend_flow_run(wait_for_input=form, timeout=math.ceil(seconds), key=key)


async def read_form(run_id: str, form: str) -> Approval | None:
    """What was filled into a form that some process of this run put up; None when nobody did."""
    given = await aread_flow_run_input(response_key(form), flow_run_id=UUID(run_id))
    try:
        return Approval.model_validate(given) if given else None
    except ValidationError:  # by a form of another version
        return None


async def send_decision(
    client: PrefectClient, run_id: str, pending: PendingApproval, kind: Kind, *, comment: str = "", plan: str = ""
) -> str:
    """Decide what a run waits for; why that was not possible, empty when it was."""
    run_input = {"decision": kind, "comment": comment, "plan": plan}
    return await send_input(client, run_id, run_input, form=pending.form)
