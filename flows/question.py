"""The question subflow: an agent that cannot go on by itself waits for a person, while the other tasks go on."""

import asyncio
import math

import anyio
from prefect import flow, runtime
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import apause_flow_run

from graftline.interruption import signals_held
from graftline.journal import EventKind
from graftline.records import AttemptRecord
from graftline.run import Run, live_run
from graftline.tasks.question import Answer
from graftline.text import fenced

POLL_SECONDS = 2
DESCRIPTION_CHARS = 4_000


@flow(name="question", flow_run_name="question: {task_id}", persist_result=False, log_prints=False)
async def question(run_id: str, task_id: str, attempt: int, text: str) -> str:
    """What a person answers to a task's question; this flow run is paused until then."""
    run = live_run(run_id)
    with signals_held():
        own = str(runtime.flow_run.id)
        run.journal.append(EventKind.QUESTION_ASKED, task=task_id, attempt=attempt, text=text, flow_run=own)
        described = f"Task `{task_id}` of {run.pinned.name} asks:\n\n{fenced(text, DESCRIPTION_CHARS)}"
        given = await apause_flow_run(
            wait_for_input=Answer.with_initial_data(description=described),
            timeout=math.ceil(run.settings.timeouts.answer_seconds),
            poll_interval=POLL_SECONDS,
        )
        return given.answer


async def ask_person(run: Run, stuck: AttemptRecord) -> bool:
    """Whether a person has answered what an attempt is stuck with; the answer is in the journal then.

    Nobody is waited for in a run that is stopped, nor for longer than `[timeouts] answer_seconds`. The run's time limit
    stands still meanwhile.
    """
    if run.stop_reason:
        return False
    with run.clock.stopped(), anyio.CancelScope() as scope:
        watcher = asyncio.create_task(_cancel_when_stopped(run, scope))
        try:
            answer = await question(run.id, stuck.task, stuck.number, stuck.detail)
        except FlowPauseTimeout:
            return False
        finally:
            watcher.cancel()
        run.journal.append(
            EventKind.QUESTION_ANSWERED, task=stuck.task, attempt=stuck.number, question=stuck.detail, text=answer
        )
        return True
    return False


async def _cancel_when_stopped(run: Run, scope: anyio.CancelScope) -> None:
    while not run.stop_reason:  # noqa: ASYNC110  whatever stops a run tells nobody
        await asyncio.sleep(POLL_SECONDS)
    scope.cancel()
