"""One agent call, from the prompt to the judged outcome."""

import shutil
import signal
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from graftline.agents.backend import AgentBackend, Assignment
from graftline.agents.environment import (
    PROMPT_FILE_VARIABLE,
    make_private_home,
    prompt_file,
    remove_caches,
    write_private,
)
from graftline.agents.last_message import asked_question
from graftline.agents.notices import Notice, ProgressWatch
from graftline.agents.outcome import POLICIES, AgentOutcome, OutcomeKind, Policy
from graftline.agents.retry_time import retry_time
from graftline.child_output import LINE_BYTES
from graftline.process import Command, Ending, Limits, ProcessIdentity, ProcessResult, run_process

LOG_NAME = "agent.log"


async def call_agent(
    backend: AgentBackend,
    assignment: Assignment,
    *,
    limits: Limits,
    on_progress: Callable[[str], None],
    on_notice: Callable[[Notice], None],
    on_start: Callable[[ProcessIdentity], None],
) -> AgentOutcome:
    """Carry out an assignment in its worktree; whatever the agent does, the answer is an outcome.

    Prompt, log and the CLI's private home, but not what it had cached there, stay in `assignment.folder`. Raises
    `CannotRunError` when the agent cannot be started and `UserError` when the task's env is not allowed; on
    cancellation the agent is over when it is passed on.
    """
    assignment.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_private_home(assignment)
    write_private(prompt_file(assignment.folder), assignment.prompt.encode(errors="replace"))
    temporary = tempfile.mkdtemp(prefix="graftline-")
    try:
        return await _call(
            backend, replace(assignment, temporary=Path(temporary)), limits, on_progress, on_notice, on_start
        )
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(partial(shutil.rmtree, temporary, ignore_errors=True))
            await anyio.to_thread.run_sync(remove_caches, assignment)


async def _call(
    backend: AgentBackend,
    assignment: Assignment,
    limits: Limits,
    on_progress: Callable[[str], None],
    on_notice: Callable[[Notice], None],
    on_start: Callable[[ProcessIdentity], None],
) -> AgentOutcome:
    invocation = backend.invocation(assignment)
    for path, content in invocation.files.items():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, content)
    transcript = backend.transcript(assignment)

    watch = ProgressWatch()

    def read(line: str) -> None:
        progress = transcript.read(line)
        if progress is None:
            return
        if progress.text:
            on_progress(progress.text)
        for notice in watch.see(progress):
            on_notice(notice)

    # A program may well work in silence; only a CLI that reports what it does can be told to have stalled.
    if not backend.capabilities.converses:
        limits = replace(limits, stall_seconds=None, stalls=())
    result = await run_process(
        Command(invocation.argv, assignment.worktree, invocation.env, invocation.stdin, family=PROMPT_FILE_VARIABLE),
        log=assignment.folder / LOG_NAME,
        limits=limits,
        on_line=read,
        on_start=on_start,
    )
    outcome = transcript.outcome(result)
    question = asked_question(outcome.last_message) if outcome.kind is OutcomeKind.OK else None
    if question is not None:
        outcome = replace(outcome, kind=OutcomeKind.STUCK, detail=question)
    if POLICIES[outcome.kind] is Policy.WAIT and outcome.retry_at is None:
        outcome = replace(outcome, retry_at=retry_time(outcome.detail, datetime.now(UTC)))
    return replace(outcome, backend=backend.type, seconds=result.seconds)


def told_by_log(backend: AgentBackend, assignment: Assignment, outcome: AgentOutcome) -> AgentOutcome:
    """The outcome of a call that was cut off, with what its log tells of it: session, model, version, last words.

    What it had used by then is told only by a CLI that came to its final event.
    """
    log = assignment.folder / LOG_NAME
    if not backend.capabilities.converses or not log.is_file():
        return outcome
    transcript = backend.transcript(assignment)
    with log.open("rb") as lines:
        while line := lines.readline(LINE_BYTES):
            transcript.read(line.decode(errors="replace").rstrip("\r\n"))
    told = transcript.outcome(ProcessResult(status=-signal.SIGKILL, ending=Ending.EXITED, seconds=0.0, tail=""))
    return replace(
        outcome,
        session_id=told.session_id,
        version=told.version,
        model=told.model,
        last_message=told.last_message,
        usage=told.usage,
        session_usage=told.session_usage,
    )
