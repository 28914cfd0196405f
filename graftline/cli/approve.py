"""`graftline approve`: decide about a plan that waits for it, as the form of Prefect's UI does."""

import asyncio
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from graftline.agents.profiles import PROFILE_TYPES
from graftline.agents.routing import plan_agents
from graftline.approvals import COMMENT_CHARS, PLAN_CHARS, Kind, PendingApproval, pending_approval
from graftline.cli.console import stderr_console
from graftline.cli.prefect_client import prefect_client
from graftline.cli.runs import Records, open_records
from graftline.errors import ExitCode, UserError
from graftline.manifest import dump_manifest, load_manifest
from graftline.preflight import check_environments
from graftline.settings import Settings


def approve(
    run: str,
    /,
    *,
    reject: Annotated[bool, Parameter(negative=())] = False,
    comment: str = "",
    plan: Path | None = None,
    repository: Path = Path(),
) -> int:
    """Approve the plan that a run waits with, or reject it. `graftline status` shows what waits.

    Parameters
    ----------
    run
        A run's name or id, or the beginning of one.
    reject
        Reject it: with a comment the planner makes another one, without a comment the run ends.
    comment
        What is to be planned otherwise, or why it is approved.
    plan
        A plan file to go by instead: the plan shown, edited.
    repository
        The git repository the run is of.
    """
    if reject and plan is not None:
        raise UserError("--reject takes no --plan: approve the edited plan, or say in --comment what is to be another")
    if len(comment) > COMMENT_CHARS:
        raise UserError(f"a comment has at most {COMMENT_CHARS} characters")
    records = open_records(run, repository)
    name = shlex.quote(records.pinned.name)
    pending = pending_approval(records.entries)
    if pending is None:
        raise UserError(f"nothing waits for an approval in run {name}")
    if not (records.is_running() or records.is_suspended()):
        raise UserError(f"run {name} does not go on: `graftline resume {name}` asks again")
    edited = "" if plan is None else read_edited(plan, records)
    asyncio.run(_send(records, pending, reject=reject, comment=comment, edited=edited))
    done = "Rejected" if reject else "Approved"
    goes_on = "; who starts the runs of its deployment goes on with it" if records.is_suspended() else ""
    stderr_console().say(f"{done} {pending} of run {name}{goes_on}")
    return ExitCode.SUCCESS


def read_edited(file: Path, records: Records) -> str:
    """A plan file as the form takes it.

    Raises:
        UserError: it cannot run; the message names every problem.
    """
    settings = Settings.model_validate(records.pinned.settings)
    plan = load_manifest(file, agents=(*settings.agents, *PROFILE_TYPES)).plan
    check_environments(plan)
    plan_agents(plan, settings)
    text = dump_manifest(plan, "yaml")
    if len(text) > PLAN_CHARS:
        raise UserError(f"{file}: a plan in a form has at most {PLAN_CHARS} characters")
    return text


async def _send(records: Records, pending: PendingApproval, *, reject: bool, comment: str, edited: str) -> None:
    async with prefect_client() as client:
        from graftline.tasks.approval import send_decision  # noqa: PLC0415  imports Prefect

        kind: Kind = "reject" if reject else "approve"
        problem = await send_decision(client, records.pinned.id, pending, kind, comment=comment, plan=edited)
    if problem:
        raise UserError(f"{pending} of run {records.pinned.name} was not decided: {problem}")
