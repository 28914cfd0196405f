"""A task that failed for good asks for a patch of the plan: what is finished stays, the rest is done in another way."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from pydantic import JsonValue

from graftline.agents.outcome import Usage
from graftline.approvals import PendingApproval, pending_approval
from graftline.journal import EventKind
from graftline.plan import Plan, TaskSpec
from graftline.planning import desk
from graftline.planning.patches import read_patches
from graftline.planning.planner import Job
from graftline.planning.prompts import Templates
from graftline.planning.proposals import Proposed, write_proposal
from graftline.planning.provider import Answer, Question
from graftline.planning.scaffold import ScaffoldCheck
from graftline.planning.validation import Ground
from graftline.report.model import RunState
from graftline.run import Run
from tests.pipeline import Project, Script, Tables, fail, runs_flows, task, write

pytestmark = runs_flows

SECONDS = 60
SPENDING: Tables = {"agents.scripted": {"cost_usd": 0.01}, "planner": {"patch_usd": 0.0}}
TASKS = (
    task("first", writes=["a.txt"]),
    task("big", "first", writes=["big.txt"]),
    task("child", "big", writes=["c.txt"]),
)


class Planner:
    """A planner that gives the answers it was given, the last of them over and over; an error is raised."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.answers: Iterator[Mapping[str, JsonValue] | Exception] = iter(())

    def script(self, *answers: Mapping[str, JsonValue] | Exception) -> None:
        self.answers = iter(answers)

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, text=str(answer), stop="end", usage=Usage(), model="scripted")

    async def sit_down(self, run: Run) -> desk.Desk:
        job = Job("Build it.", "# Files", run.settings, Templates({}), Ground(frozenset(), nothing_ignored), None)
        return desk.Desk(job, self.ask, nothing_to_try, nothing_to_set_aside)


async def nothing_ignored(_paths: object) -> frozenset[str]:
    return frozenset()


def nothing_to_set_aside() -> None:
    pass


async def nothing_to_try(_plan: Plan) -> ScaffoldCheck:
    return ScaffoldCheck()


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> Planner:
    planner = Planner()
    monkeypatch.setattr(desk, "_open_desk", planner.sit_down)
    return planner


def drafted(task_id: str, path: str, *needs: str) -> JsonValue:
    """A new task as the planner writes it."""
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
    return {"reason": reason, "tasks": [], "split": [], "cancel": [], "re_edge": [], **lists}


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
}


async def planned(project: Project, tasks: Sequence[TaskSpec] = TASKS) -> str:
    """A flow run of a request in words that the planner has made a plan of."""
    run_id = await project.schedule(tasks, plan=None, prompt="Build it.")
    plan = Plan(title="Test plan", tasks=tuple(tasks))
    write_proposal(project.folder(run_id), Proposed(number=1, by="planner", plan=plan))
    return run_id


async def reject(project: Project, run_id: str, comment: str) -> PendingApproval:
    """Say no to what a run asks a person first; what it was."""
    form = {"decision": "reject", "comment": comment}
    async with asyncio.timeout(SECONDS), get_client() as client:
        while True:
            pending = pending_approval(project.journal(run_id))
            state = (await client.read_flow_run(UUID(run_id))).state
            if pending is not None and state is not None and state.is_paused():
                result = await client.resume_flow_run(UUID(run_id), run_input=form)
                if result.status.value == "ACCEPT":
                    return pending
            await asyncio.sleep(0.05)


async def test_a_failed_task_is_split_and_the_run_lands(project: Project, planner: Planner) -> None:
    stray = patch("split it", split=[{"task": "big", "into": ["half"]}])
    planner.script(stray, RuntimeError("the process is killed here"), stray, SPLIT)
    project.configure(SCRIPT, {}, {})
    run_id = await planned(project)

    crashed = await project.enter(run_id)
    assert crashed.report.state is RunState.CRASHED
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
    assert patched.task == "big"
    assert patched.data == {
        "number": 1,
        "reason": "too much for one agent",
        "changes": [
            "- big",
            "+ half: Do half; depends_on: first; writes: big.txt; size: small",
            "+ rest: Do rest; depends_on: half; writes: rest.txt; size: small",
            "~ child: depends_on: big -> rest",
        ],
        "removed": {"big": "replaced by half and rest"},
    }
    # Whoever asks again asks the same, and what is wrong with the answer goes back.
    first, second, again, repaired = planner.asked
    assert (first, second) == (again, repaired)
    assert "too much" in first.messages[-1].text
    assert "`split` puts 'half' in its place, and no new task has that id" in repaired.messages[-1].text


async def test_a_run_without_its_patch_ends_as_it_would_have(project: Project, planner: Planner) -> None:
    helpless = patch("the compiler is missing here")
    planner.script(SPLIT, helpless)
    tasks = (*TASKS, task("other", writes=["o.txt"]))
    project.configure({**SCRIPT, "other": [fail()]}, {}, SPENDING)
    run_id = await planned(project, tasks)
    building = asyncio.create_task(project.enter(run_id))
    pending = await reject(project, run_id, "leave it")
    built = await building

    assert str(pending) == "patch 1"
    assert "- big\n+ half: Do half; depends_on: first" in pending.text
    assert built.states == {"first": "succeeded", "big": "failed", "child": "skipped", "other": "failed"}
    assert built.report.state is RunState.PARTIAL
    assert sorted(entry.task or "" for entry in built.agents) == ["big", "first", "other"]
    assert set(built.report.notes) >= {
        "the plan was not patched for big: nobody approved the patch: leave it",
        "the plan was not patched for other: the compiler is missing here",
    }
    assert [one.setback.task for one in read_patches(built.folder)] == ["big", "other"]
