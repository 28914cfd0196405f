"""A plan waits for a person: paused in a script, suspended in a deployment, and asked about once."""

import asyncio
import os
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_async

from graftline.approvals import PendingApproval, pending_approval
from graftline.flows.build import build
from graftline.journal import EventKind
from graftline.lease import holder_of
from graftline.manifest import dump_manifest
from graftline.opening import look_after_dead_runs
from graftline.plan import Plan
from graftline.request import BuildRequest
from tests.pipeline import Project, runs_flows, task, write

pytestmark = runs_flows

SECONDS = 60


async def asked(project: Project, run_id: str, times: int = 1) -> PendingApproval:
    """What waits for a person, once somebody has been asked so often."""
    async with asyncio.timeout(SECONDS):
        while True:
            entries = project.journal(run_id)
            if sum(entry.event is EventKind.APPROVAL_ASKED for entry in entries) == times:
                pending = pending_approval(entries)
                assert pending is not None
                return pending
            await asyncio.sleep(0.05)


async def paused(client: PrefectClient, run_id: str, pending: PendingApproval) -> State:
    """The state of the flow run, once it waits with the form of what waits."""
    async with asyncio.timeout(SECONDS):
        while True:
            state = (await client.read_flow_run(UUID(run_id))).state
            assert state is not None
            keys = state.state_details.run_input_keyset
            if state.is_paused() and keys and keys["response"].startswith(pending.form):
                return state
            await asyncio.sleep(0.05)


async def fill_in(client: PrefectClient, run_id: str, **form: str) -> str:
    """Send a form off; the server's verdict."""
    async with asyncio.timeout(SECONDS):
        while True:
            result = await client.resume_flow_run(UUID(run_id), run_input=form)
            if "schema not found" not in str(getattr(result.details, "reason", "")):
                return str(result.status.value)
            await asyncio.sleep(0.05)


def plan_of(*tasks: object) -> str:
    """An edited plan, as a person writes it into the form."""
    return dump_manifest(Plan.model_validate({"title": "Edited", "tasks": tasks}), "yaml")


async def test_a_paused_run(project: Project) -> None:
    project.configure({"a": [write("a.txt")], "b": [write("b.txt")]}, {}, {})
    run_id = await project.schedule([task("a")], approve=True)
    building = asyncio.create_task(project.enter(run_id))
    pending = await asked(project, run_id)
    async with get_client() as client:
        state = await paused(client, run_id, pending)
        verdicts = [
            await fill_in(client, run_id),
            await fill_in(client, run_id, decision="maybe"),
            await fill_in(client, run_id, comment="fine"),
        ]
        first = await fill_in(client, run_id, decision="approve", plan="tasks: [")
        pending = await asked(project, run_id, 2)
        await paused(client, run_id, pending)
        second = await fill_in(client, run_id, decision="approve", plan=plan_of(task("b")))
    built = await building
    print(state, verdicts, first, second)
    for entry in built.entries:
        print(entry.event, entry.data)
    print(built.report)


async def test_a_suspended_run(project: Project) -> None:
    project.configure({"a": [write("a.txt")]}, {}, {})
    plan = Plan(title="Test plan", tasks=(task("a"),))
    request = BuildRequest(repository=str(project.path), plan=plan, approve=True)
    async with get_client() as client:
        flow_id = await client.create_flow(build)
        deployment = await client.create_deployment(flow_id, "waits")
        parameters = {"request": request.model_dump(mode="json")}
        flow_run = await client.create_flow_run_from_deployment(deployment, parameters=parameters)
        run_id = str(flow_run.id)
        with pytest.raises(Pause):
            await run_flow_async(build, flow_run=flow_run, parameters={"request": request})
        pending = pending_approval(project.journal(run_id))
        print(pending, await client.read_flow_run(flow_run.id))
        print(holder_of(project.folder(run_id).path), await look_after_dead_runs(os.environ))
        print(await fill_in(client, run_id, decision="approve"))
        print((await client.read_flow_run(flow_run.id)).state)
    built = await project.enter(run_id)
    for entry in built.entries:
        print(entry.event, entry.data)
    print(built.report)
