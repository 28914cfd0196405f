"""One attempt: a worktree is cut, set up, handed to an agent, and what the agent did is judged and kept.

The order matters to whoever enters the run again after a crash: the row in the ledger is there before the agent is, and
gets its cost the moment the agent ends; then come the attempt's record, its ref in the hub, and only then the release
of its slot. Nothing an agent wrote is ever only in a worktree that is removed: what did not make it is on a salvage ref
first.
"""

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from time import monotonic

from graftline.agents.backend import Assignment
from graftline.agents.calls import call_agent, told_by_log
from graftline.agents.notices import Notice, NoticeKind
from graftline.agents.outcome import POLICIES, SAME_WORKTREE, AgentOutcome, OutcomeKind, Policy, Usage
from graftline.agents.routing import Agent
from graftline.caps import Shortage
from graftline.carrying import carry_through
from graftline.continuation import Continuation, home_of, left_worktree, restored_worktree
from graftline.errors import CannotRunError, GraftlineError, UserError
from graftline.git.worktrees import Work, Worktree, collect_work, remove_worktree
from graftline.journal import EventKind
from graftline.ledger import NextCall, Role
from graftline.payment import paid, settle
from graftline.plan import TaskSpec
from graftline.private_files import make_folder
from graftline.process import Limits, ProcessIdentity
from graftline.records import AttemptRecord, AttemptState, drop_record, write_record
from graftline.report.wording import describe_shortage
from graftline.retirement import retire
from graftline.run import Run
from graftline.sealing import undo_sealed_edits
from graftline.settings import TimeoutSettings
from graftline.workspace import cut_workspace, set_up
from graftline.worktree_progress import work_limit

CACHES = frozenset(
    {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".aider.tags.cache.v4"}
)
NOTICE_EVENTS = {NoticeKind.STATUS: EventKind.AGENT_STATUS, NoticeKind.LOOPING: EventKind.AGENT_LOOPING}
NOT_CALLED = Usage(cost_usd=0.0)
"""What an attempt used whose agent was never started: a known nothing."""


@dataclass(frozen=True)
class Place:
    """Where one attempt lives: its refs in the hub and its folders in the run's.

    `continues` is the number of the attempt whose worktree it goes on in.
    """

    task: str
    number: int
    role: Role
    ref: str
    salvage_ref: str
    folder: Path
    worktree: Path
    round: int = 0
    continues: int | None = None


@dataclass(frozen=True)
class Ask:
    """What one attempt is asked to do, and from where: `key` names it for whoever looks for finished work.

    `go_on` is what a session that is gone on with is told instead of the prompt, which it has.
    """

    spec: TaskSpec
    base: str
    key: str
    prompt: str
    continuation: Continuation | None = None
    go_on: str = ""


async def reserve_place(run: Run, task: str, base: str, *, continues: int | None = None) -> Place:
    """The next attempt's place; its ref is created before anything is dispatched, so a number is never used twice."""
    number = 1 + max((int(folder.name) for folder in run.folder.attempts(task)), default=0)
    while not await run.hub.create_ref(run.ref("task", task, number), base):
        number += 1
    return task_place(run, task, number, continues=continues)


def task_place(run: Run, task: str, number: int, *, continues: int | None = None) -> Place:
    """The place of a task's attempt with this number."""
    return Place(
        task=task,
        number=number,
        role=Role.TASK,
        ref=run.ref("task", task, number),
        salvage_ref=run.ref("salvage", task, number),
        folder=run.folder.attempt(task, number),
        worktree=run.folder.worktree(task, continues or number),
        continues=continues,
    )


def heal_place(run: Run, task: str, number: int) -> Place:
    """The place of a task's heal call in the round with this number."""
    return Place(
        task=task,
        number=number,
        role=Role.HEAL,
        ref=run.ref("heal", number, task),
        salvage_ref=run.ref("salvage", task, f"heal-{number}"),
        folder=run.folder.heal(number, task),
        worktree=run.folder.heal_worktree(number, task),
        round=number,
    )


async def perform_attempt(run: Run, ask: Ask, place: Place) -> AttemptRecord:
    """One attempt's record, whatever came of it; work that did not make it is on the salvage ref.

    Cancellation ends the agent, salvages what it wrote, records the attempt as interrupted and goes on.
    """
    agent = run.agent(ask.spec)
    started = monotonic()
    run.journal.append(
        EventKind.ATTEMPT_STARTED,
        task=place.task,
        attempt=place.number,
        backend=agent.backend.type,
        profile=agent.profile,
        tier=agent.tier,
        round=place.round,
        base=ask.base,
        key=ask.key,
        continues=place.continues,
    )
    drop_record(make_folder(place.folder))  # a heal that was interrupted is made again in the same place
    outcome = interrupted(agent, NOT_CALLED)
    left = left_worktree(run, place.worktree)
    if left is not None and ask.continuation is None:  # a heal that is made again, in the same place
        await remove_worktree(left)
        left = None
    worktree = left or await _cut(run, ask, place)
    try:
        seconds = run.timeout_seconds(ask.spec)
        # What an agent left is set up already.
        problem = "" if left else await set_up(run, worktree, place.folder, task=place.task, seconds=seconds)
        remaining = max(1.0, seconds - (monotonic() - started))
        if problem:
            outcome = not_called(agent, OutcomeKind.FAILED, problem)
        else:
            outcome = interrupted(agent, Usage())
            outcome = await _call(run, ask, place, agent, remaining)
    finally:
        # Also when cancelled, and cancelled again: what the agent wrote is only here.
        record = await carry_through(conclude_attempt(run, ask, place, worktree, outcome, monotonic() - started))
    return record


async def _cut(run: Run, ask: Ask, place: Place) -> Worktree:
    if ask.continuation is None:
        return await cut_workspace(run, ask.base, path=place.worktree, branch=place.task)
    return await restored_worktree(run, ask.continuation, ask.base, path=place.worktree, branch=place.task)


def not_called(agent: Agent, kind: OutcomeKind, detail: str) -> AgentOutcome:
    """The outcome of an attempt that ended before its agent was started."""
    return given_to(agent, AgentOutcome(kind=kind, detail=detail, usage=NOT_CALLED, called=False))


def interrupted(agent: Agent, usage: Usage) -> AgentOutcome:
    """The outcome of an attempt that was cancelled; what a running agent had used by then is unknown."""
    return given_to(agent, AgentOutcome(kind=OutcomeKind.INTERRUPTED, detail="ended before it finished", usage=usage))


def given_to(agent: Agent, outcome: AgentOutcome) -> AgentOutcome:
    """The outcome, with whose it is."""
    return replace(outcome, profile=agent.profile, tier=agent.tier, backend=agent.backend.type)


async def _call(run: Run, ask: Ask, place: Place, agent: Agent, seconds: float) -> AgentOutcome:
    """Pay for one call: reserve, call, settle. Without room under the caps nothing is called."""
    async with paid(run, _next_call(run, place, agent), agent.backend) as payment:
        if isinstance(payment, Shortage):
            return not_called(agent, OutcomeKind.BUDGET, describe_shortage(payment))
        assignment = _assignment(run, ask, place, budget_usd=payment.limit_usd)

        def on_progress(text: str) -> None:
            run.journal.append(EventKind.AGENT_PROGRESS, task=place.task, attempt=place.number, text=text)

        def on_notice(notice: Notice) -> None:
            run.journal.append(NOTICE_EVENTS[notice.kind], task=place.task, attempt=place.number, text=notice.text)

        begun: list[ProcessIdentity] = []
        record = run.recording("agent", task=place.task, attempt=place.number)

        def on_start(process: ProcessIdentity) -> None:
            begun.append(process)
            record(process)

        async def ask_agent(assignment: Assignment) -> AgentOutcome:
            called = await call_agent(
                agent.backend,
                assignment,
                limits=limits,
                on_progress=on_progress,
                on_notice=on_notice,
                on_start=on_start,
            )
            return given_to(agent, called)

        limits = call_limits(run.settings.timeouts, ask.spec, place.worktree, wall_seconds=seconds)
        try:
            payment.outcome = await ask_agent(assignment)
            if assignment.session is not None and is_lost(payment.outcome):
                text = (
                    f"{place.task}: the session could not be gone on with, a new one is begun: {payment.outcome.detail}"
                )
                run.journal.append(EventKind.WARNING, text=text)
                payment.outcome = await ask_agent(replace(assignment, prompt=ask.prompt, session=None))
        except (CannotRunError, UserError) as error:
            if begun:
                raise
            # Nothing was started: the profile, the task's environment or this machine is not as it has to be.
            payment.outcome = not_called(agent, OutcomeKind.CONFIG, str(error))
        except BaseException:
            payment.outcome = told_by_log(agent.backend, assignment, payment.outcome)
            raise
        return payment.outcome


def call_limits(timeouts: TimeoutSettings, spec: TaskSpec, worktree: Path, *, wall_seconds: float) -> Limits:
    """When a call for a task is ended; a read-only one has nothing to commit."""
    stalls = () if spec.read_only else (work_limit(worktree, timeouts.commit_stall_seconds),)
    return Limits(wall_seconds=wall_seconds, stall_seconds=timeouts.output_stall_seconds, stalls=stalls)


def _assignment(run: Run, ask: Ask, place: Place, budget_usd: float | None = None) -> Assignment:
    session = ask.continuation.session if ask.continuation is not None else None
    return Assignment(
        prompt=ask.prompt if session is None else ask.go_on,
        worktree=place.worktree,
        folder=place.folder,
        facts=_facts(run, ask, place),
        env=ask.spec.env,
        environ=run.environ,
        budget_usd=budget_usd,
        session_id=str(uuid.uuid4()),
        session=session,
        private_home=home_of(run, place.task, place.continues) if place.continues else None,
    )


def is_lost(outcome: AgentOutcome) -> bool:
    """Whether a call that was to go on with a session came to nothing because its CLI does not have it any more."""
    was_used = outcome.usage.input_tokens or outcome.usage.output_tokens or outcome.usage.turns
    return outcome.kind in {OutcomeKind.FAILED, OutcomeKind.CONFIG} and not was_used


def _next_call(run: Run, place: Place, agent: Agent) -> NextCall:
    """What the ledger knows of a call before it starts."""
    return NextCall(
        run_id=run.id,
        role=place.role,
        backend=agent.backend.type,
        task=place.task,
        attempt=place.number,
        profile=agent.profile,
        tier=agent.tier or "",
        deployment=run.deployment,
    )


def _facts(run: Run, ask: Ask, place: Place) -> dict[str, str]:
    """What every agent is told in its environment."""
    return {
        "GRAFTLINE_TASK_ID": place.task,
        "GRAFTLINE_TASK_ATTEMPT": str(place.number),
        "GRAFTLINE_TASK_ROLE": place.role,
        "GRAFTLINE_TASK_TITLE": ask.spec.title or ask.spec.id,
        "GRAFTLINE_TASK_RUN": run.pinned.name,
        "GRAFTLINE_TASK_BASE": ask.base,
        "GRAFTLINE_TASK_DEPENDS_ON": " ".join(ask.spec.depends_on),
        "GRAFTLINE_TASK_WRITES": " ".join(ask.spec.writes),
    }


async def conclude_attempt(
    run: Run, ask: Ask, place: Place, worktree: Worktree, outcome: AgentOutcome, seconds: float
) -> AttemptRecord:
    """Keep an attempt's work, then let the worktree go; when keeping fails it stays, for a person to look at."""
    if outcome.kind is OutcomeKind.INTERRUPTED and outcome.usage != NOT_CALLED:
        outcome = told_by_log(run.agent(ask.spec).backend, _assignment(run, ask, place), outcome)
    record = await _keep(run, ask, place, worktree, outcome, seconds)
    goes_on = POLICIES[record.outcome] in SAME_WORKTREE
    await retire(run, worktree, may_wait=not record.left_out or goes_on)
    return record


async def _keep(
    run: Run, ask: Ask, place: Place, worktree: Worktree, outcome: AgentOutcome, seconds: float
) -> AttemptRecord:
    """Take the work out of the worktree, judge the attempt and put record, ref and journal in that order."""
    # The ledger's word and not the outcome's: it knows every call made in this place, at the price that was paid.
    cost_usd = settle(run, place.role, place.task, place.number, outcome).cost_usd
    trailers = {"Graftline-Run": run.pinned.name, "Graftline-Task": place.task, "Graftline-Attempt": str(place.number)}
    title = ask.spec.title or ask.spec.id
    try:
        work = await collect_work(run.hub, worktree, message=title, trailers=trailers)
    except GraftlineError as error:
        run.journal.append(
            EventKind.WARNING, text=f"{place.task}: its work is still in {worktree.path}, taking it failed: {error}"
        )
        raise
    work = await undo_sealed_edits(run, work, ask.base, trailers)
    state, detail, kind = judge(ask.spec, outcome, work, enforce=run.settings.git.writes == "enforce")
    commit = work.commit if state is AttemptState.SUCCEEDED else None
    if state is AttemptState.NO_CHANGE:
        commit = await run.hub.commit_tree(await run.hub.tree_of(ask.base), [ask.base], title, trailers)
    salvage = None
    if work.commit is not None and commit != work.commit:
        salvage = await run.hub.add_ref(place.salvage_ref, work.commit)
        run.journal.append(EventKind.SALVAGED, task=place.task, attempt=place.number, ref=salvage, commit=work.commit)
    record = AttemptRecord(
        task=place.task,
        number=place.number,
        role=place.role,
        round=place.round,
        key=ask.key,
        base=ask.base,
        state=state,
        commit=commit,
        outcome=kind,
        detail=detail,
        last_message=outcome.last_message,
        backend=outcome.backend,
        profile=outcome.profile,
        tier=outcome.tier,
        version=outcome.version,
        model=outcome.model,
        session_id=outcome.session_id,
        session_usage=outcome.session_usage,
        continues=place.continues,
        retry_at=outcome.retry_at,
        cost_usd=cost_usd,
        seconds=seconds,
        ended=datetime.now(UTC),
        paths=work.paths,
        left_out=work.left_out,
        notes=(*work.notes, *_outside_note(ask.spec, work), *_left_out_note(work)),
        salvage=salvage,
    )
    write_record(place.folder, record)
    if commit is not None:
        await run.hub.update_ref(place.ref, commit)
    run.journal.append(
        EventKind.ATTEMPT_ENDED,
        task=place.task,
        attempt=place.number,
        state=state,
        outcome=kind,
        detail=detail,
        seconds=seconds,
        cost_usd=cost_usd,
    )
    if POLICIES[kind] is Policy.STOP_RUN:
        run.stop_reason = run.stop_reason or f"{kind}: {detail}"
    return record


def judge(spec: TaskSpec, outcome: AgentOutcome, work: Work, *, enforce: bool) -> tuple[AttemptState, str, OutcomeKind]:
    """What an attempt came to, by the agent's word and what was seen to have changed.

    An agent that ends well and changed nothing did not succeed, unless its task is read-only or its last message said
    why nothing had to change.
    """
    if outcome.kind is OutcomeKind.BUDGET and not outcome.called:
        return AttemptState.NOT_CALLED, outcome.detail, outcome.kind
    if outcome.kind in {OutcomeKind.INTERRUPTED, OutcomeKind.BUDGET}:
        return AttemptState.INTERRUPTED, outcome.detail, outcome.kind
    if outcome.kind is not OutcomeKind.OK:
        return AttemptState.FAILED, outcome.detail, outcome.kind
    outside = outside_writes(spec, work.paths)
    if outside and enforce:
        return AttemptState.FAILED, f"changed what it may not: {', '.join(outside)}", OutcomeKind.PERMISSION_DENIED
    if spec.read_only:
        return AttemptState.NO_CHANGE, outcome.last_message, OutcomeKind.OK
    if work.commit is not None:
        return AttemptState.SUCCEEDED, outcome.detail, OutcomeKind.OK
    if outcome.declared_no_change is not None:
        return AttemptState.NO_CHANGE, outcome.declared_no_change, OutcomeKind.NO_CHANGE
    return (
        AttemptState.FAILED,
        "the agent ended well but changed nothing (when nothing has to change, its last message must say "
        "`NO-CHANGE: reason`)",
        OutcomeKind.FAILED,
    )


def outside_writes(spec: TaskSpec, paths: tuple[str, ...]) -> tuple[str, ...]:
    """The changed paths that a task did not declare; nothing is outside when it declared nothing."""
    return tuple(path for path in paths if not spec.may_write(path))


def _outside_note(spec: TaskSpec, work: Work) -> tuple[str, ...]:
    outside = outside_writes(spec, work.paths)
    return (f"changed outside its `writes`: {', '.join(outside[:20])}",) if outside else ()


def _left_out_note(work: Work) -> tuple[str, ...]:
    """What ignore rules kept out of the commit, but for caches, which every run leaves."""
    left_out = [entry for entry in work.left_out if PurePosixPath(entry).name not in CACHES]
    return (f"not committed, because it is ignored: {', '.join(left_out[:20])}",) if left_out else ()
