"""The question subflow: an agent that cannot go on by itself waits for a person, while the other tasks go on."""

import asyncio
import contextlib
import math
from typing import Any
from uuid import UUID

import anyio
from prefect import flow, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import FailedRun, FlowPauseTimeout
from prefect.flow_runs import apause_flow_run
from prefect.states import Failed

from graftline.interruption import signals_held
from graftline.journal import EventKind
from graftline.records import AttemptRecord
from graftline.run import Run, live_run
from graftline.tasks.people import POLL_SECONDS
from graftline.tasks.question import Answer
from graftline.tasks.watch import SERVER_ERRORS
from graftline.text import fenced

DESCRIPTION_CHARS = 4_000
CANCELLED = "a person cancelled the question"


@flow(name="question", flow_run_name="question: {task_id}", persist_result=False, log_prints=False)
async def question(run_id: str, task_id: str, attempt: int, text: str) -> str | State[None]:
    """What a person answers to a task's question; this flow run is paused until then."""
    run, own = live_run(run_id), str(runtime.flow_run.id)
    described = f"Task `{task_id}` of {run.pinned.name} asks:\n\n{fenced(text, DESCRIPTION_CHARS)}"
    with signals_held(), anyio.CancelScope() as scope:
        run.journal.append(EventKind.QUESTION_ASKED, task=task_id, attempt=attempt, text=text, flow_run=own)
        watcher = asyncio.create_task(_cancel_when_given_up(run, own, scope))
        try:
            given = await apause_flow_run(
                wait_for_input=Answer.with_initial_data(description=described),
                timeout=math.ceil(run.settings.timeouts.answer_seconds),
                poll_interval=POLL_SECONDS,
            )
        finally:
            watcher.cancel()
        return given.answer
    # One that a person cancelled stays Cancelling, which the server makes Cancelled minutes later.
    return Failed(message=run.stop_reason or CANCELLED)


async def _cancel_when_given_up(run: Run, own: str, scope: anyio.CancelScope) -> None:
    """Stop waiting when the run is stopped, or when somebody presses Cancel instead of Resume."""
    async with get_client() as client:
        while not run.stop_reason:
            await asyncio.sleep(POLL_SECONDS)
            with contextlib.suppress(*SERVER_ERRORS):  # whoever waits for the answer meets them too
                state = (await client.read_flow_run(UUID(own))).state
                if state is not None and (state.is_cancelling() or state.is_cancelled()):
                    break
    scope.cancel()


async def ask_person(run: Run, stuck: AttemptRecord) -> str:
    """Why nobody has answered what an attempt is stuck with; empty once somebody has, and it is in the journal.

    The run's time limit stands still meanwhile, and a run that is stopped waits for nobody.
    """
    if run.stop_reason:
        return run.stop_reason
    with run.clock.stopped():
        asked: Any = question  # Prefect's types do not know that a state asked for is awaited
        state: State[str] = await asked(run.id, stuck.task, stuck.number, stuck.detail, return_state=True)
    if state.is_cancelling() or state.is_cancelled():
        return CANCELLED
    answer = await state.aresult(raise_on_failure=False)
    if isinstance(answer, FailedRun | FlowPauseTimeout):
        return run.stop_reason or f"nobody answered within {run.settings.timeouts.answer_seconds:g} s"
    if isinstance(answer, Exception):
        raise answer
    run.journal.append(
        EventKind.QUESTION_ANSWERED, task=stuck.task, attempt=stuck.number, question=stuck.detail, text=answer
    )
    return ""
