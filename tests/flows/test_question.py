"""An agent that is stuck asks a person, while the other tasks go on; nothing is paid until there is an answer."""

import asyncio
import os
from collections.abc import Callable
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling

from graftline.journal import EventKind
from graftline.ledger import Ledger
from graftline.pinned import read_pinned
from graftline.questions import Question, open_questions
from graftline.report.assemble import assemble_report
from graftline.report.model import QuestionReport, Report, RunState
from graftline.store import state_directory
from graftline.tasks.question import send_answer
from tests.pipeline import Project, Script, Step, Tables, runs_flows, shell, task, wait_for, write

pytestmark = runs_flows

SECONDS = 60


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that is seen from outside only."""
    async with asyncio.timeout(SECONDS):
        while not is_so():  # noqa: ASYNC110  nothing tells that a file grew
            await asyncio.sleep(0.05)


async def asked(project: Project, run_id: str) -> Question:
    """The run's one open question, once there is one."""
    await until(lambda: bool(open_questions(project.journal(run_id))))
    (question,) = open_questions(project.journal(run_id))
    return question


async def paused(client: PrefectClient, question: Question) -> FlowRun:
    """The flow run of a question, once it waits for the answer."""
    async with asyncio.timeout(SECONDS):
        while True:
            flow_run = await client.read_flow_run(UUID(question.flow_run))
            if flow_run.state is not None and flow_run.state.is_paused():
                return flow_run
            await asyncio.sleep(0.05)


def report_of(project: Project, run_id: str) -> Report:
    """The report of a run as `graftline status` makes it at this moment."""
    folder, entries = project.folder(run_id), project.journal(run_id)
    return assemble_report(
        read_pinned(folder), folder, entries, Ledger.open(state_directory(os.environ)).account(run_id)
    )


def say(text: str) -> Step:
    return {"say": text}


def ask(text: str) -> list[Step]:
    return [say("STATUS: half of it"), say("I do not know how to go on."), say(f"STUCK: {text}")]


def prompt_holds(text: str) -> Step:
    return shell(f'grep -qF "{text}" "$GRAFTLINE_TASK_PROMPT_FILE"')


async def test_other_tasks_go_on_while_a_person_is_asked_and_the_answer_reaches_the_agent(project: Project) -> None:
    go_on = project.signals / "go on"
    tasks = [task("stuck", priority=1), task("other"), task("after", "stuck")]
    script: Script = {
        "stuck": {
            1: ask("left or right?"),
            2: [prompt_holds("left or right?"), prompt_holds("To the left."), write("left.txt")],
        },
        "other": [wait_for(go_on), write("other.txt")],
        "after": [shell("test -e left.txt"), write("after.txt")],
    }
    # One slot, which the question does not hold; and no extra attempt, which it does not use.
    project.configure(script, {}, {"agent": {"max_concurrent": 1}})
    run_id = await project.schedule(tasks)
    building = asyncio.create_task(project.enter(run_id))
    question = await asked(project, run_id)
    async with get_client() as client:
        waiting = await paused(client, question)
        run = await client.read_flow_run(UUID(run_id))
        while_empty = await client.resume_flow_run(waiting.id, run_input={"answer": " "})
        await until(lambda: "other" in {entry.task for entry in project.journal(run_id)})
        told = report_of(project, run_id)
        go_on.touch()
        await until(lambda: EventKind.TASK_SUCCEEDED in {entry.event for entry in project.journal(run_id)})
        answered = await send_answer(client, question.flow_run, "To the left.")
        again = await client.resume_flow_run(waiting.id, run_input={"answer": "No, to the right."})
    built = await building

    assert (question.task, question.attempt, question.text) == ("stuck", 1, "left or right?")
    assert waiting.name == "question: stuck"
    assert run.state is not None
    assert run.state.is_running()
    assert (while_empty.status.value, answered, again.status.value) == ("REJECT", "", "ABORT")
    assert told.questions == (QuestionReport(task="stuck", question="left or right?", flow_run_id=question.flow_run),)
    assert [one.reason for one in told.tasks] == ["stuck: left or right?", "", "waiting"]
    assert built.report.state is RunState.LANDED
    assert [(one.outcome.value, one.detail) for one in built.tasks["stuck"].attempts] == [
        ("stuck", "left or right?"),
        ("ok", ""),
    ]
    assert [entry.data["text"] for entry in built.of(EventKind.AGENT_STATUS)] == ["half of it", "stuck: left or right?"]
    assert built.report.questions == ()


async def test_a_question_is_asked_again_by_a_run_that_is_entered_again_and_no_agent_is_called(
    project: Project,
) -> None:
    script: Script = {"stuck": {1: ask("why?"), 2: [prompt_holds("Because."), write("a.txt")]}}
    project.configure(script, {}, {})
    run_id = await project.schedule([task("stuck")])
    building = asyncio.create_task(project.enter(run_id))
    first = await asked(project, run_id)
    async with get_client() as client:
        await paused(client, first)
        building.cancel()
        await asyncio.wait({building})
        closed = report_of(project, run_id)
        building = asyncio.create_task(project.enter(run_id))
        await until(lambda: sum(one.event is EventKind.QUESTION_ASKED for one in project.journal(run_id)) == 2)
        second = await asked(project, run_id)
        too_late = await client.resume_flow_run(UUID(first.flow_run), run_input={"answer": "Too late."})
        assert not await send_answer(client, second.flow_run, "Because.")
    built = await building

    assert (closed.state, closed.questions) == (RunState.CANCELLED, ())
    assert (first.text, first.attempt) == (second.text, second.attempt)
    assert first.flow_run != second.flow_run
    assert too_late.status.value == "ABORT"
    assert built.report.state is RunState.LANDED
    assert len(built.agents) == 2, "the question was asked again, not the agent"


async def test_a_question_that_nobody_answers_fails_its_task(project: Project) -> None:
    settings: Tables = {"timeouts": {"answer_seconds": 1}}
    built = await project.build([task("stuck")], {"stuck": ask("why?")}, settings=settings)

    assert built.report.state is RunState.FAILED
    assert built.tasks["stuck"].reason == "attempt 1: stuck: nobody answered within 1 s: why?"
    assert [one.data["text"] for one in built.of(EventKind.QUESTION_ASKED)] == ["why?"]


async def test_a_person_may_cancel_a_question(project: Project) -> None:
    project.configure({"stuck": ask("why?")}, {}, {})
    run_id = await project.schedule([task("stuck")])
    building = asyncio.create_task(project.enter(run_id))
    async with get_client() as client:
        waiting = await paused(client, await asked(project, run_id))
        await client.set_flow_run_state(waiting.id, Cancelling())
        built = await building

    assert built.tasks["stuck"].reason == "attempt 1: stuck: a person cancelled the question: why?"
    assert built.report.state is RunState.FAILED


async def test_a_run_that_is_stopped_waits_for_nobody(project: Project) -> None:
    settings: Tables = {"agents.gone": {"type": "command", "command": ["./gone"], "cost_usd": 0.0}}
    tasks = [task("stuck"), task("after", "stuck"), task("gone", agent="gone")]
    built = await project.build(tasks, {"stuck": ask("why?")}, settings=settings)

    assert built.states == {"stuck": "failed", "after": "skipped", "gone": "failed"}
    assert built.tasks["stuck"].reason.startswith("attempt 1: stuck: config: cannot run './gone'")
    assert built.tasks["stuck"].reason.endswith(": why?")
