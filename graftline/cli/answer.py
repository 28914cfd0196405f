"""`graftline answer`: answer what an agent asked, as the form of Prefect's UI does."""

import asyncio
import shlex
from pathlib import Path

from graftline.cli.console import stderr_console
from graftline.cli.prefect_client import prefect_client
from graftline.cli.runs import open_records
from graftline.errors import ExitCode, UserError
from graftline.questions import ANSWER_CHARS, Question, open_questions
from graftline.text import plain_line


def answer(run: str, task: str, text: str, /, *, repository: Path = Path()) -> int:
    """Answer the question with which an agent of a running run is stuck. `graftline status` shows what is asked.

    Parameters
    ----------
    run
        A run's name or id, or the beginning of one.
    task
        The task whose agent asked.
    text
        The answer, which the agent gets to read word for word.
    repository
        The git repository the run is of.
    """
    records = open_records(run, repository)
    asked = {one.task: one for one in open_questions(records.entries)}
    name = shlex.quote(records.pinned.name)
    if task not in asked:
        others = f"; questions of {', '.join(asked)} wait" if asked else ""
        raise UserError(f"no question of task {task!r} waits for an answer in run {name}{others}")
    if not records.is_running():
        raise UserError(f"run {name} does not go on: `graftline resume {name}` asks again")
    if not text.strip() or len(text) > ANSWER_CHARS:
        raise UserError(f"an answer has to have between 1 and {ANSWER_CHARS} characters")
    asyncio.run(_send(asked[task], text))
    stderr_console().say(f"Answered {task}: {plain_line(asked[task].text, 200)}")
    return ExitCode.SUCCESS


async def _send(question: Question, text: str) -> None:
    async with prefect_client() as client:
        from graftline.tasks.question import send_answer  # noqa: PLC0415  imports Prefect

        problem = await send_answer(client, question.flow_run, text)
    if problem:
        raise UserError(f"the question of {question.task} was not answered: {problem}")
