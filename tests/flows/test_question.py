"""An agent that is stuck asks a person, while the other tasks go on; nothing is paid until there is an answer."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from prefect.client.orchestration import get_client

from graftline.journal import EventKind
from graftline.pinned import read_pinned
from graftline.questions import Question, open_questions
from graftline.report.assemble import assemble_report
from graftline.report.model import QuestionReport, RunState
from graftline.tasks.question import send_answer
from tests.pipeline import Project, Script, Step, Tables, fail, runs_flows, shell, task, wait_for, write

pytestmark = runs_flows

SECONDS = 60


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that is seen from outside only."""
    async with asyncio.timeout(SECONDS):
        while not is_so():
            await asyncio.sleep(0.05)


async def asked(project: Project, run_id: str) -> Question:
    """The run's one open question, once there is one."""
    await until(lambda: bool(open_questions(project.journal(run_id))))
    (question,) = open_questions(project.journal(run_id))
    return question


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
    await until(lambda: any(entry.task == "other" for entry in project.journal(run_id)))
    async with get_client() as client:
        waiting = await client.read_flow_run(UUID(question.flow_run))
        run = await client.read_flow_run(UUID(run_id))
        while_empty = await client.resume_flow_run(waiting.id, run_input={"answer": " "})
        go_on.touch()
        await until(lambda: any(entry.event is EventKind.TASK_SUCCEEDED for entry in project.journal(run_id)))
        answered = await send_answer(client, question.flow_run, "To the left.")
        answered_again = await send_answer(client, question.flow_run, "No, right.")
    built = await building

    assert (question.task, question.attempt, question.text) == ("stuck", 1, "left or right?")
    assert waiting.name == "question: stuck"
    assert waiting.state is not None
    assert run.state is not None
    assert (waiting.state.is_paused(), run.state.is_running()) == (True, True)
    assert (while_empty.status.value, answered) == ("REJECT", "")
    assert "not paused" in answered_again
    assert built.report.state is RunState.LANDED
    assert [one.outcome.value for one in built.tasks["stuck"].attempts] == ["stuck", "ok"]
    assert built.tasks["stuck"].attempts[0].detail == "left or right?"
    assert [entry.data["text"] for entry in built.of(EventKind.AGENT_STATUS)] == ["half of it", "stuck: left or right?"]
    assert built.report.questions == ()
    before = assemble_report(
        read_pinned(built.folder),
        built.folder,
        built.entries[: built.entries.index(built.of(EventKind.TASK_SUCCEEDED)[0])],
        built.account,
    )
    assert before.questions == (QuestionReport(task="stuck", question="left or right?", flow_run_id=question.flow_run),)


async def test_a_question_that_nobody_answers_fails_its_task_and_is_asked_again_without_a_call(
    project: Project,
) -> None:
    script: Script = {"stuck": {1: ask("why?"), 2: [prompt_holds("Because."), write("a.txt")]}}
    settings: Tables = {"timeouts": {"answer_seconds": 1}}
    first = await project.build([task("stuck")], script, settings=settings)
    building = asyncio.create_task(project.enter(first.report.flow_run_id))
    await until(
        lambda: len([one for one in project.journal(first.report.flow_run_id) if one.event is EventKind.QUESTION_ASKED])
        == 2
    )
    question = await asked(project, first.report.flow_run_id)
    async with get_client() as client:
        assert not await send_answer(client, question.flow_run, "Because.")
    second = await building

    assert first.report.state is RunState.FAILED
    assert first.tasks["stuck"].reason == "attempt 1: stuck: nobody answered within 1 s: why?"
    assert second.report.state is RunState.LANDED
    assert len(second.agents) == 2, "the question was asked again, not the agent"


async def test_a_run_that_is_stopped_waits_for_nobody(project: Project) -> None:
    stop = project.signals / "stop"
    script: Script = {"stuck": ask("why?"), "refused": [wait_for(stop), fail()]}
    run_id = await project.schedule([task("stuck"), task("refused")])
    project.configure(script, {}, {})
    building = asyncio.create_task(project.enter(run_id))
    await asked(project, run_id)
    stop.touch()
    built = await building
    assert built.report.state is RunState.FAILED
