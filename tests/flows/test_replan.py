"""A task that failed for good asks for a patch of the plan: what is finished stays, the rest is done in another way."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from pydantic import JsonValue

from graftline.agents.outcome import OutcomeKind
from graftline.approvals import PendingApproval, pending_approval
from graftline.flows.replan import may_ask
from graftline.journal import EventKind
from graftline.ledger import Role
from graftline.manifest import dump_manifest
from graftline.patch import PlanPatch
from graftline.plan import Plan
from graftline.planning.patches import MadePatch, RecordedPatch, read_patches, write_patch
from graftline.planning.setback import Setback
from graftline.records import AttemptState
from graftline.report.model import RunState
from graftline.run import close_run
from tests.model_server import ModelServer
from tests.pipeline import Project, Script, Tables, fail, runs_flows, task, write
from tests.test_records import record

pytestmark = runs_flows

SECONDS = 60
REQUEST = "Build four files."
OTHERWISE = "Leave the report out."
HELD = "the answer that is waited for"


def drafted(task_id: str, path: str, *needs: str) -> dict[str, JsonValue]:
    """A task as the planner writes it."""
    return {
        "id": task_id,
        "title": f"Do {task_id}",
        "what": f"do {task_id}",
        "where": "",
        "contract": "",
        "done_when": ["it is there"],
        "writes": [path],
        "read_only": False,
        "depends_on": [{"task": need, "what": "its file"} for need in needs],
        "acceptance": [],
        "untested": "a text file",
        "tests": [],
        "size": "small",
        "tier": "standard",
    }


def patch(reason: str, **lists: JsonValue) -> dict[str, JsonValue]:
    """A patch as the planner writes it."""
    return {"reason": reason, "tasks": [], "split": [], "cancel": [], "re_edge": [], **lists}


PLAN: list[JsonValue] = [
    drafted("first", "a.txt"),
    drafted("big", "big.txt", "first"),
    drafted("child", "c.txt", "big"),
]
STRAY = patch("split it", split=[{"task": "big", "into": ["half"]}])
SPLIT = patch(
    "too much for one agent",
    tasks=[drafted("half", "big.txt"), drafted("rest", "rest.txt", "half")],
    split=[{"task": "big", "into": ["half", "rest"]}],
)
SCRIPT: Script = {
    "first": [write("a.txt")],
    "big": [{"say": "too much"}, fail()],
    "half": [write("big.txt")],
    "rest": [write("rest.txt")],
    "child": [write("c.txt")],
    "other": [fail()],
    "third": [fail()],
    "again": [write("o.txt")],
}


class Planner:
    """A planner whose model answers requests, and failed tasks, with what it was told to."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        self.settings: Tables = {
            "planner": {"provider": "anthropic", "model": "planning", "base_url": server.url},
            "prices.planning": {"input": 1.0, "output": 1.0},
        }

    def answers(self, *plans: list[JsonValue], **patches: list[Mapping[str, object]]) -> None:
        """Make the model answer the request with a plan, and with the other one when a person rejects that.

        It answers each failed task with the turns of its name.
        """
        drafts = [{"structured": {"title": "Test plan", "summary": "", "tasks": plan}} for plan in plans]
        scenarios: list[dict[str, object]] = [
            {"match": REQUEST, "without_tools": True, "turns": drafts[:1]},
            {"match": OTHERWISE, "without_tools": True, "turns": drafts[1:] or drafts},
        ]
        for name, turns in patches.items():
            scenarios.append({"match": f"`{name}` has failed for good", "without_tools": True, "turns": turns})
        self.server.scenario({"scenarios": scenarios})

    async def is_held(self) -> None:
        """Wait until an answer is held back."""
        await asyncio.to_thread(self.server.wait_for, lambda record: record.turn == 1)

    @property
    def asked(self) -> list[str]:
        """What each question ended with."""
        return [record.request.items[-1].text for record in self.server.requests()]


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Planner]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    with ModelServer() as server:
        yield Planner(server)


async def asked_for(project: Project, run_id: str, what: str) -> PendingApproval:
    """What a person is asked, once it waits."""
    async with asyncio.timeout(SECONDS), get_client() as client:
        while True:
            pending = pending_approval(project.journal(run_id))
            state = (await client.read_flow_run(UUID(run_id))).state
            if pending is not None and str(pending) == what and state is not None and state.is_paused():
                return pending
            await asyncio.sleep(0.05)


async def fill_in(run_id: str, **form: str) -> None:
    """Decide what a run waits for."""
    async with asyncio.timeout(SECONDS), get_client() as client:
        while True:
            if (await client.resume_flow_run(UUID(run_id), run_input=form)).status.value == "ACCEPT":
                return
            await asyncio.sleep(0.05)


async def test_only_a_task_that_another_plan_may_help_asks_and_only_once(
    offline_project: Project, planner: Planner
) -> None:
    run = await offline_project.open(None, {}, settings=planner.settings, prompt=REQUEST)
    try:
        run.adopt(Plan(tasks=(task("a"), task("b"), task("c"))))
        asking = set()
        for outcome in OutcomeKind:
            run.given_up["a"] = record(state=AttemptState.FAILED, commit=None, outcome=outcome)
            asking |= {outcome.value} if may_ask(run, "a") else set()
        assert asking == {
            "failed",
            "context-exhausted",
            "max-turns",
            "stalled",
            "timed-out",
            "interrupted",
        }
        run.given_up |= dict.fromkeys("abc", record(state=AttemptState.FAILED, commit=None, outcome=OutcomeKind.FAILED))
        before = Plan(tasks=(task("b"), task("c"), task("z")))
        setback = Setback(task="b", attempts=(), finished=(), failed=("b",))
        made = MadePatch(
            patch=PlanPatch(reason="no", operations=()), after=run.plan, removed={"z": "no"}, expected_usd=0.0
        )
        write_patch(run.folder, RecordedPatch(number=1, setback=setback, before=before, made=made))
        assert [may_ask(run, name) for name in ("a", "b", "c", "z")] == [False, False, True, False], (
            "a came of a patch, and b has asked"
        )
        run.stop_reason = "the key was refused"
        assert not may_ask(run, "c")
        run.stop_reason = ""
        run.settings = run.settings.model_copy(
            update={"planner": run.settings.planner.model_copy(update={"patch": False})}
        )
        assert not may_ask(run, "c")
    finally:
        close_run(run)


async def test_a_plan_that_is_rejected_with_a_comment_is_made_again_by_it(project: Project, planner: Planner) -> None:
    planner.answers([drafted("first", "a.txt"), drafted("report", "r.txt")], [drafted("first", "a.txt")])
    careful = {"planner": {**planner.settings["planner"], "approve": True}}
    project.configure(SCRIPT, {}, {**planner.settings, **careful})
    run_id = await project.schedule(None, prompt=REQUEST)
    building = asyncio.create_task(project.enter(run_id))
    rejected = await asked_for(project, run_id, "plan 1")
    await fill_in(run_id, decision="reject", comment=OTHERWISE)
    approved = await asked_for(project, run_id, "plan 2")
    await fill_in(run_id, decision="approve")
    built = await building

    assert [task.id for task in rejected.plan.tasks] == ["first", "report"]
    assert [task.id for task in approved.plan.tasks] == ["first"]
    assert built.states == {"first": "succeeded"}
    assert built.report.state is RunState.LANDED
    first, second = planner.asked
    assert REQUEST in first
    assert OTHERWISE in second
    assert [call.role for call in built.account.calls].count(Role.PLANNER) == 2


async def test_a_failed_task_is_split_and_the_run_lands_also_when_it_was_cut_short(
    project: Project, planner: Planner
) -> None:
    planner.answers(PLAN, big=[{"structured": STRAY}, {"hold": HELD, "structured": SPLIT}])
    project.configure(SCRIPT, {}, planner.settings)
    run_id = await project.schedule(None, prompt=REQUEST)
    building = asyncio.create_task(project.enter(run_id))
    await planner.is_held()
    building.cancel()
    with suppress(asyncio.CancelledError):
        await building
    planner.server.open_gate(HELD)
    built = await project.enter(run_id)

    assert built.report.state is RunState.LANDED, built.report.reason
    assert {"a.txt", "big.txt", "rest.txt", "c.txt"} <= project.files("main")
    assert built.states == {
        "first": "succeeded",
        "half": "succeeded",
        "rest": "succeeded",
        "child": "succeeded",
        "big": "cancelled",
    }
    assert built.tasks["big"].reason == "replaced by half and rest"
    # Nobody is called twice: neither for what was finished nor for what had failed.
    assert [entry.task for entry in built.agents] == ["first", "big", "half", "rest", "child"]
    (patched,) = built.of(EventKind.PLAN_PATCHED)
    assert (patched.task, patched.data["reason"]) == ("big", "too much for one agent")
    assert patched.data["removed"] == {"big": "replaced by half and rest"}
    assert patched.data["changes"] == [
        "- big: Do big",
        "+ half: Do half; depends_on: first; writes: big.txt; size: small",
        "+ rest: Do rest; depends_on: half; writes: rest.txt; size: small",
        "~ child: depends_on: big -> rest",
    ]
    # What is wrong with an answer goes back. What was answered is not asked again, the rest is, in the same words.
    _, first, held, again = planner.asked
    assert "too much" in first
    assert "`split` puts 'half' in its place, and no new task has that id" in held
    assert again == held
    assert [call.role for call in built.account.calls].count(Role.PLANNER) == 4


async def test_a_person_decides_about_a_patch_and_what_failed_without_one_is_not_tried_again(
    project: Project, planner: Planner
) -> None:
    again = patch("a", tasks=[drafted("again", "o.txt")], split=[{"task": "other", "into": ["again"]}])
    plan = [*PLAN, drafted("other", "o.txt"), drafted("third", "t.txt")]
    helpless = patch("the compiler is missing here")
    planner.answers(plan, big=[{"structured": SPLIT}], other=[{"structured": again}], third=[{"structured": helpless}])
    careful: Tables = {
        "planner": {**planner.settings["planner"], "patch_usd": 0.0},
        "agents.scripted": {"cost_usd": 0.01},
    }
    project.configure(SCRIPT, {}, {**planner.settings, **careful})
    run_id = await project.schedule(None, prompt=REQUEST)
    building = asyncio.create_task(project.enter(run_id))
    rejected = await asked_for(project, run_id, "patch 1")
    await fill_in(run_id, decision="reject", comment="leave it")
    approved = await asked_for(project, run_id, "patch 2")
    text = dump_manifest(approved.plan, "yaml")
    await fill_in(run_id, decision="approve", plan=text.replace("Do again", "Once more"))
    built = await building

    shown = "Task `big` failed for good: too much for one agent\n\n```text\n- big: Do big\n+ half: Do half; "
    assert rejected.text.startswith(shown)
    assert rejected.plan.task("child").depends_on == ("rest",)
    assert built.states == {
        "first": "succeeded",
        "big": "failed",
        "child": "skipped",
        "third": "failed",
        "again": "succeeded",
        "other": "cancelled",
    }
    assert (built.tasks["again"].title, built.tasks["other"].reason) == ("Once more", "taken out by a person")
    assert built.report.state is RunState.PARTIAL
    assert sorted(entry.task or "" for entry in built.agents) == ["again", "big", "first", "other", "third"]
    assert set(built.report.notes) >= {
        "the plan was not patched for big: nobody approved the patch: leave it",
        "the plan was not patched for third: the compiler is missing here",
    }
    assert [one.setback.task for one in read_patches(built.folder)] == ["big", "other", "third"]
