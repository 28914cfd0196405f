"""One attempt: a worktree is cut, set up, handed to an agent, and what the agent did is judged and kept.

The order matters to whoever enters the run again after a crash: the row in the ledger is there before the agent is, and
gets its cost the moment the agent ends; then come the attempt's record, its ref in the hub, and only then the release
of its slot. Nothing an agent wrote is ever only in a worktree that is removed: what did not make it is on a salvage ref
first.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from time import monotonic

from graftline.agents.backend import AgentBackend, Assignment
from graftline.agents.calls import call_agent
from graftline.agents.outcome import POLICIES, AgentOutcome, OutcomeKind, Policy, Usage
from graftline.budget import reservation_usd
from graftline.carrying import carry_through
from graftline.errors import CannotRunError, GraftlineError, UserError
from graftline.git.worktrees import Work, Worktree, collect_work
from graftline.journal import EventKind
from graftline.ledger import Account, Role
from graftline.plan import TaskSpec
from graftline.private_files import make_folder
from graftline.process import Limits, ProcessIdentity
from graftline.records import AttemptRecord, AttemptState, drop_record, write_record
from graftline.retirement import retire
from graftline.run import BUDGET_REACHED, Run
from graftline.sealing import undo_sealed_edits
from graftline.workspace import cut_workspace, set_up

BUDGET_DETAIL = "the run's cap leaves nothing for another call"
CACHES = frozenset(
    {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".aider.tags.cache.v4"}
)
NOT_CALLED = Usage(cost_usd=0.0)
"""What an attempt used whose agent was never started: a known nothing."""


@dataclass(frozen=True)
class Place:
    """Where one attempt lives: its refs in the hub and its folders in the run's."""

    task: str
    number: int
    role: Role
    ref: str
    salvage_ref: str
    folder: Path
    worktree: Path
    round: int = 0


@dataclass(frozen=True)
class Ask:
    """What one attempt is asked to do, and from where: `key` names it for whoever looks for finished work."""

    spec: TaskSpec
    base: str
    key: str
    prompt: str


async def reserve_place(run: Run, task: str, base: str) -> Place:
    """The next attempt's place; its ref is created before anything is dispatched, so a number is never used twice."""
    number = 1 + max((int(folder.name) for folder in run.folder.attempts(task)), default=0)
    while not await run.hub.create_ref(run.ref("task", task, number), base):
        number += 1
    return task_place(run, task, number)


def task_place(run: Run, task: str, number: int) -> Place:
    """The place of a task's attempt with this number."""
    return Place(
        task=task,
        number=number,
        role=Role.TASK,
        ref=run.ref("task", task, number),
        salvage_ref=run.ref("salvage", task, number),
        folder=run.folder.attempt(task, number),
        worktree=run.folder.worktree(task, number),
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
    backend = run.backend(ask.spec)
    started = monotonic()
    run.journal.append(
        EventKind.ATTEMPT_STARTED,
        task=place.task,
        attempt=place.number,
        backend=backend.type,
        round=place.round,
        base=ask.base,
        key=ask.key,
    )
    drop_record(make_folder(place.folder))  # a heal that was interrupted is made again in the same place
    outcome = interrupted(backend, NOT_CALLED)
    worktree = await cut_workspace(run, ask.base, path=place.worktree, branch=place.task)
    try:
        seconds = run.timeout_seconds(ask.spec)
        problem = await set_up(run, worktree, place.folder, task=place.task, seconds=seconds)
        remaining = max(1.0, seconds - (monotonic() - started))
        if problem:
            outcome = not_called(backend, OutcomeKind.FAILED, problem)
        else:
            outcome = interrupted(backend, Usage())
            outcome = await _call(run, ask, place, backend, remaining)
    finally:
        # Also when cancelled, and cancelled again: what the agent wrote is only here.
        record = await carry_through(conclude_attempt(run, ask, place, worktree, outcome, monotonic() - started))
    return record


def not_called(backend: AgentBackend, kind: OutcomeKind, detail: str) -> AgentOutcome:
    """The outcome of an attempt that ended before its agent was started."""
    return AgentOutcome(kind=kind, detail=detail, backend=backend.type, usage=NOT_CALLED)


def interrupted(backend: AgentBackend, usage: Usage) -> AgentOutcome:
    """The outcome of an attempt that was cancelled; what a running agent had used by then is unknown."""
    detail = "ended before it finished"
    return AgentOutcome(kind=OutcomeKind.INTERRUPTED, detail=detail, backend=backend.type, usage=usage)


async def _call(run: Run, ask: Ask, place: Place, backend: AgentBackend, seconds: float) -> AgentOutcome:
    """Pay for one call: reserve, call, settle. Without room under the cap nothing is called."""
    async with _paid(run, place, backend) as call:
        if call is None:
            run.stop_reason = BUDGET_REACHED
            return not_called(backend, OutcomeKind.BUDGET, BUDGET_DETAIL)
        assignment = Assignment(
            prompt=ask.prompt,
            worktree=place.worktree,
            folder=place.folder,
            facts=_facts(run, ask, place),
            env=ask.spec.env,
            environ=run.environ,
            budget_usd=call.amount_usd,
            session_id=str(uuid.uuid4()),
        )

        def on_progress(text: str) -> None:
            run.journal.append(EventKind.AGENT_PROGRESS, task=place.task, attempt=place.number, text=text)

        begun: list[ProcessIdentity] = []
        record = run.recording("agent", task=place.task, attempt=place.number)

        def on_start(agent: ProcessIdentity) -> None:
            begun.append(agent)
            record(agent)

        limits = Limits(wall_seconds=seconds, stall_seconds=run.settings.timeouts.output_stall_seconds)
        try:
            call.outcome = await call_agent(
                backend, assignment, limits=limits, on_progress=on_progress, on_start=on_start
            )
        except (CannotRunError, UserError) as error:
            if begun:
                raise
            # Nothing was started: the profile, the task's environment or this machine is not as it has to be.
            call.outcome = not_called(backend, OutcomeKind.CONFIG, str(error))
        return call.outcome


@dataclass
class _Call:
    """A reserved call; `outcome` stays an interruption until the agent's own is known."""

    row: int
    amount_usd: float
    outcome: AgentOutcome


@asynccontextmanager
async def _paid(run: Run, place: Place, backend: AgentBackend) -> AsyncIterator[_Call | None]:
    """A ledger row around a call, settled however the call ends; None when the cap has no room for it."""
    account = run.ledger.account(run.id)
    cap = run.settings.cost.max_usd
    amount = _share_usd(run, account, backend)
    row = None
    if amount is not None:
        row = run.ledger.try_reserve(
            run.id, place.role, place.task, place.number, backend.type, amount_usd=amount, cap_usd=cap
        )
    if row is None or amount is None:
        yield None
        return
    started = monotonic()
    call = _Call(row, amount, interrupted(backend, Usage()))
    try:
        yield call
    finally:
        run.ledger.complete(
            row,
            call.outcome.usage,
            outcome=call.outcome.kind,
            version=call.outcome.version,
            model=call.outcome.model,
            seconds=call.outcome.seconds or monotonic() - started,
        )
        _warn_once(run)
        after = run.ledger.account(run.id)
        if (
            call.outcome.kind is OutcomeKind.BUDGET
            and not after.reserved_usd
            and _share_usd(run, after, backend) is None
        ):
            run.stop_reason = run.stop_reason or BUDGET_REACHED


def _share_usd(run: Run, account: Account, backend: AgentBackend) -> float | None:
    """What the next call reserves of what the cap leaves; None: not enough for a call."""
    return reservation_usd(
        cap_usd=run.settings.cost.max_usd,
        account=account,
        call_cost_usd=backend.call_cost_usd,
        concurrent=run.settings.agent.max_concurrent,
    )


def _warn_once(run: Run) -> None:
    """Say so the first time that `warn_usd` is spent, a call of unknown cost counting at its reservation."""
    spent = run.ledger.account(run.id).estimated_usd
    if spent >= run.settings.cost.warn_usd and not run.has_warned:
        run.has_warned = True
        text = f"${spent:.2f} of the cap of ${run.settings.cost.max_usd:.2f} is spent or reserved"
        run.journal.append(EventKind.WARNING, text=text)


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
    record = await _keep(run, ask, place, worktree, outcome, seconds)
    await retire(run, worktree, is_bare=not record.left_out)
    return record


async def _keep(
    run: Run, ask: Ask, place: Place, worktree: Worktree, outcome: AgentOutcome, seconds: float
) -> AttemptRecord:
    """Take the work out of the worktree, judge the attempt and put record, ref and journal in that order."""
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
        version=outcome.version,
        model=outcome.model,
        session_id=outcome.session_id,
        cost_usd=outcome.usage.cost_usd,
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
        outcome=kind,
        detail=detail,
        seconds=seconds,
        cost_usd=outcome.usage.cost_usd,
    )
    if POLICIES[kind] is Policy.STOP_RUN:
        run.stop_reason = run.stop_reason or f"{kind}: {detail}"
    return record


def judge(spec: TaskSpec, outcome: AgentOutcome, work: Work, *, enforce: bool) -> tuple[AttemptState, str, OutcomeKind]:
    """What an attempt came to, by the agent's word and what was seen to have changed.

    An agent that ends well and changed nothing did not succeed, unless its task is read-only or its last message said
    why nothing had to change.
    """
    if outcome.kind is OutcomeKind.INTERRUPTED:
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
