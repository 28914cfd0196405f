"""What another attempt of a task goes on from: the worktree, the work and the session of one that was cut short."""

from dataclasses import dataclass
from pathlib import Path

from graftline.agents.backend import Session
from graftline.agents.outcome import POLICIES, SAME_WORKTREE, OutcomeKind, Policy, Usage
from graftline.agents.routing import Agent
from graftline.git.worktrees import Worktree, restore_work
from graftline.records import AttemptRecord, AttemptState, task_records
from graftline.run import Run
from graftline.workspace import cut_workspace


@dataclass(frozen=True)
class Continuation:
    """The attempt that is gone on with, and its session where the CLI can take that up again.

    `number` is that of the first attempt in its worktree, whose private home it has, too: CLIs keep their sessions in
    one and find them by the other.
    """

    record: AttemptRecord
    number: int
    session: Session | None


def continuation_of(run: Run, task: str, key: str, agent: Agent) -> Continuation | None:
    """What the next attempt of a task goes on from; None when it starts from the base."""
    records = [record for record in task_records(run.folder, task) if record.state is not AttemptState.NOT_CALLED]
    capabilities = agent.backend.capabilities
    if not records or not capabilities.converses:
        return None
    last = records[-1]
    policy = POLICIES[last.outcome]
    # Whoever enters the run again, under a higher cap, has an agent go on that its money limit stopped.
    goes_on = policy in SAME_WORKTREE or last.outcome is OutcomeKind.BUDGET
    if last.key != key or not goes_on:
        return None
    number = last.continues or last.number
    # Another agent, as after an escalation, goes on with the work, but not with the conversation.
    is_told_to = policy is not Policy.GO_ON and capabilities.resumes and last.profile == agent.profile
    has_session = bool(last.session_id) and home_of(run, task, number).is_dir()
    session = Session(last.session_id, last.session_usage or Usage()) if is_told_to and has_session else None
    if session is None and last.salvage is None:
        return None  # nothing was done that a new session could go on from
    return Continuation(last, number, session)


async def work_so_far(run: Run, continuation: Continuation, base: str) -> tuple[str, ...]:
    """What a new session is told of the attempt it goes on from: how that ended, what it changed and what it said."""
    record = continuation.record
    changed = await run.hub.diff_stat(base, record.salvage) if record.salvage is not None else ""
    ended = f"It was cut short: {record.outcome}: {record.detail}"
    return (ended, f"What it had changed:\n{changed}" if changed else "", record.last_message)


def home_of(run: Run, task: str, number: int) -> Path:
    """The private home that the CLI of a task's attempt with this number was given."""
    return run.folder.attempt(task, number) / "home"


def left_worktree(run: Run, path: Path) -> Worktree | None:
    """The worktree at a path as its agent left it, while it waits to be removed; it does so no longer."""
    found = next((worktree for worktree in run.retired if worktree.path == path), None)
    if found is not None:
        run.retired.remove(found)
    return found


async def restored_worktree(run: Run, continuation: Continuation, base: str, *, path: Path, branch: str) -> Worktree:
    """A new worktree at that path with the work that was kept of the attempt that is gone on with."""
    worktree = await cut_workspace(run, base, path=path, branch=branch)
    if continuation.record.salvage is not None:
        await restore_work(run.hub, worktree, continuation.record.salvage)
    return worktree
