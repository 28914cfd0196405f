"""A plan waits for a person: paused in a script, suspended in a deployment, and a person is asked once."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_async
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelling
from pydantic import JsonValue, TypeAdapter

from graftline.approvals import PendingApproval, pending_approval
from graftline.cleaning import hindrance
from graftline.flows.build import build
from graftline.journal import EventKind
from graftline.lease import holder_of
from graftline.ledger import Ledger
from graftline.manifest import dump_manifest
from graftline.opening import look_after_dead_runs
from graftline.pinned import read_pinned
from graftline.plan import Plan, TaskSpec
from graftline.report.assemble import assemble_report
from graftline.report.files import read_report
from graftline.report.model import Report, RunState
from graftline.request import BuildRequest
from graftline.store import RunFolder, state_directory
from graftline.tasks.approval import can_suspend, send_decision
from graftline.tasks.flow_runs import cancel_suspended, close_suspended_runs
from tests.pipeline import Project, Script, runs_flows, task, write

pytestmark = runs_flows

SECONDS = 60
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
SCRIPT: Script = {"a": [write("a.txt")], "b": [write("b.txt")]}


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


async def waiting(client: PrefectClient, run_id: str, pending: PendingApproval) -> State:
    """The state of a flow run, once it waits and its form is there to be filled in."""
    async with asyncio.timeout(SECONDS):
        while True:
            state = (await client.read_flow_run(UUID(run_id))).state
            assert state is not None
            is_there = await client.filter_flow_run_input(UUID(run_id), f"{pending.form}-schema", 1, set())
            if state.is_paused() and is_there:
                return state
            await asyncio.sleep(0.05)


async def fill_in(client: PrefectClient, run_id: str, **form: str) -> str:
    """Send a form off to a flow run that waits; the server's verdict."""
    async with asyncio.timeout(SECONDS):
        while True:
            result = await client.resume_flow_run(UUID(run_id), run_input=form)
            if result.status is not SetStateStatus.ABORT:  # which is also how a server on SQLite says that it is busy
                return str(result.status.value)
            await asyncio.sleep(0.2)


def examples() -> list[str]:
    """The requests that the page on operations shows for an approval, in its order."""
    section = PAGE.read_text().partition("## Approving a plan")[2].partition("\n## ")[0]
    return re.findall(r"^ {4}(curl (?:.*\\\n)?.*)$", section, re.MULTILINE)


async def send_example(words: str, run_id: str) -> JsonValue:
    """What the server answers to the request on that page that holds these words, once it is not too busy for it."""
    if shutil.which("curl") is None and not os.environ.get("CI"):
        pytest.skip("curl is not installed")
    (example,) = (line for line in examples() if words in line)
    env = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value(), "RUN_ID": run_id}
    async with asyncio.timeout(SECONDS):
        while True:
            done = await asyncio.create_subprocess_exec("sh", "-c", example, env=env, stdout=subprocess.PIPE)
            answer = TypeAdapter[JsonValue](JsonValue).validate_json((await done.communicate())[0])
            if not isinstance(answer, dict) or answer.get("status") == "ACCEPT":
                return answer
            await asyncio.sleep(0.2)


def plan_of(*tasks: TaskSpec) -> str:
    """An edited plan, as a person writes it into the form."""
    return dump_manifest(Plan(title="Edited", tasks=tasks), "yaml")


def report_of(project: Project, run_id: str) -> Report:
    """The report of a run as `graftline status` makes it at this moment."""
    folder, entries = project.folder(run_id), project.journal(run_id)
    account = Ledger.open(state_directory(os.environ)).account(run_id)
    return assemble_report(read_pinned(folder), folder, entries, account)


async def suspend(project: Project, client: PrefectClient) -> tuple[str, PendingApproval]:
    """A run of a deployment that has ended its process to wait; its id and what it waits for."""
    project.configure(SCRIPT, {}, {})
    request = BuildRequest(repository=str(project.path), plan=Plan(title="Test plan", tasks=(task("a"),)), approve=True)
    deployment = await client.create_deployment(await client.create_flow(build), f"waits-{uuid4()}")
    parameters = {"request": request.model_dump(mode="json")}
    flow_run = await client.create_flow_run_from_deployment(deployment, parameters=parameters)
    with pytest.raises(Pause):
        await run_flow_async(build, flow_run=flow_run, parameters={"request": request})
    return str(flow_run.id), await asked(project, str(flow_run.id))


async def test_a_paused_run_waits_for_an_answer_that_holds(project: Project) -> None:
    project.configure(SCRIPT, {}, {})
    run_id = await project.schedule([task("a")], approve=True)
    building = asyncio.create_task(project.enter(run_id))
    async with get_client() as client:
        first = await asked(project, run_id)
        state = await waiting(client, run_id, first)
        told = report_of(project, run_id)
        empty = [await fill_in(client, run_id), await fill_in(client, run_id, comment="fine")]
        wrong = await fill_in(client, run_id, decision="maybe")
        broken = await fill_in(client, run_id, decision="approve", plan=plan_of(task("b", agent="nobody")))
        second = await asked(project, run_id, times=2)
        await waiting(client, run_id, second)
        late = await send_decision(client, run_id, first, "approve")
        edited = await fill_in(client, run_id, decision="approve", plan=plan_of(task("b")))
    built = await building

    until = state.state_details.pause_timeout
    assert state.name == "Paused"
    assert until is not None
    assert until > datetime.now(UTC) + timedelta(days=6)
    assert told.approval is not None
    assert (told.state, told.approval.what, told.approval.number) == (RunState.RUNNING, "plan", 1)
    assert "do a" in told.approval.description
    assert (*empty, wrong) == ("REJECT", "REJECT", "REJECT")
    assert (broken, edited) == ("ACCEPT", "ACCEPT")
    assert "nobody" in second.text
    assert second.text.endswith(first.text)
    assert late == "somebody else was faster"
    assert built.report.state is RunState.LANDED
    assert built.report.approval is None
    assert built.states == {"b": "succeeded"}


async def test_a_suspended_run_has_not_died_and_goes_on_from_its_form(project: Project) -> None:
    async with get_client() as client:
        run_id, pending = await suspend(project, client)
        state = await waiting(client, run_id, pending)
        folder = project.folder(run_id)
        holder, dead, saved = holder_of(folder.path), await look_after_dead_runs(os.environ), read_report(folder)
        told, kept_because = report_of(project, run_id), hindrance(folder)
        listed, shown = await send_example("flow_runs/filter", run_id), await send_example("description", run_id)
        answered = await send_example('"approve"', run_id)
    built = await project.enter(run_id)

    assert (state.name, state.state_details.pause_reschedule) == ("Suspended", True)
    assert (holder, dead, saved) == (None, (), None)
    assert (told.state, told.reason) == (RunState.SUSPENDED, "plan 1 waits for a person's approval")
    assert kept_because.startswith("it waits for a person's approval")
    assert isinstance(listed, list)
    assert run_id in {one["id"] for one in listed if isinstance(one, dict)}
    assert shown == pending.text
    assert isinstance(answered, dict)
    assert answered["status"] == "ACCEPT"
    assert built.report.state is RunState.LANDED
    assert len(built.of(EventKind.APPROVAL_ASKED)) == 1
    assert [entry.data["decision"] for entry in built.of(EventKind.APPROVAL_GIVEN)] == ["approve"]


async def cancel_in_ui(client: PrefectClient, folder: RunFolder) -> None:
    """What the Cancel button sends, and what the next command of graftline makes of it."""
    await client.set_flow_run_state(UUID(folder.id), Cancelling())
    await close_suspended_runs(client, os.environ)


async def abort(client: PrefectClient, folder: RunFolder) -> None:
    """What `graftline abort` does."""
    await cancel_suspended(client, folder, os.environ)


@pytest.mark.parametrize("cancel", [cancel_in_ui, abort])
async def test_a_suspended_run_that_is_cancelled_has_ended_cancelled(
    project: Project, cancel: Callable[[PrefectClient, RunFolder], Awaitable[None]]
) -> None:
    async with get_client() as client:
        run_id, _pending = await suspend(project, client)
        await close_suspended_runs(client, os.environ)
        before = read_report(project.folder(run_id))
        await cancel(client, project.folder(run_id))
        state = (await client.read_flow_run(UUID(run_id))).state
    report = read_report(project.folder(run_id))

    assert before is None
    assert report is not None
    assert report.state is RunState.CANCELLED
    assert report.reason.startswith("cancelled by request; nothing landed")
    assert state is not None
    assert state.is_cancelled()
    assert hindrance(project.folder(run_id)) == ""


async def test_a_rejection_ends_the_run_and_one_that_is_entered_again_asks_again(project: Project) -> None:
    project.configure(SCRIPT, {}, {})
    run_id = await project.schedule([task("a")], approve=True)
    building = asyncio.create_task(project.enter(run_id))
    async with get_client() as client:
        await waiting(client, run_id, await asked(project, run_id))
        bare = await fill_in(client, run_id, decision="reject")
        rejected = await building
        building = asyncio.create_task(project.enter(run_id))
        await waiting(client, run_id, await asked(project, run_id, times=2))
        commented = await send_example('"reject"', run_id)
        built = await building

    assert bare == "ACCEPT"
    assert isinstance(commented, dict)
    assert commented["status"] == "ACCEPT"
    assert rejected.report.state is RunState.CANCELLED
    assert rejected.report.reason.startswith("a person rejected the plan; nothing landed")
    assert rejected.state.is_cancelled()
    assert built.report.state is RunState.CANCELLED
    assert built.report.reason.startswith("a person rejected the plan: One task is enough.; ")
    assert built.agents == []


async def test_a_run_that_is_cancelled_while_it_waits_ends_cancelled(project: Project) -> None:
    project.configure(SCRIPT, {}, {})
    run_id = await project.schedule([task("a")], approve=True)
    building = asyncio.create_task(project.enter(run_id))
    async with get_client() as client:
        await waiting(client, run_id, await asked(project, run_id))
        await client.set_flow_run_state(UUID(run_id), Cancelling())
    built = await building

    assert built.report.state is RunState.CANCELLED
    assert built.state.is_cancelled()
    assert built.report.approval is None


async def test_a_plan_that_nobody_decides_about_in_time_fails_the_run(project: Project) -> None:
    settings = {"timeouts": {"approval_seconds": 1, "run_seconds": 0.9}}  # which the wait does not count towards
    built = await project.build([task("a")], SCRIPT, settings=settings, approve=True)

    assert built.report.state is RunState.FAILED
    assert built.report.reason.startswith("nobody decided about plan 1 within 1 s; ")
    assert (built.state.name, built.state.message) == ("Failed", built.report.reason)
    assert built.agents == []


@pytest.mark.parametrize(
    ("deployment", "parent", "can"),
    [(uuid4(), None, True), (uuid4(), uuid4(), False), (None, None, False)],
    ids=["a deployment's own", "within another flow run", "a script's"],
)
async def test_only_a_flow_run_that_prefect_starts_by_itself_is_suspended(
    deployment: UUID | None, parent: UUID | None, can: bool
) -> None:
    assert can_suspend(FlowRun(flow_id=uuid4(), deployment_id=deployment, parent_task_run_id=parent)) is can
