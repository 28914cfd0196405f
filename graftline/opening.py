"""The start of a run: a request is checked and pinned, or a run is entered again as it was pinned.

Whoever opens a run holds its lease until `close_run`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import anyio.to_thread
from pydantic import SecretStr

from graftline.carrying import carry_through
from graftline.changes import Today, find_changes, read_today
from graftline.cleaning import remove_planning
from graftline.closing import close
from graftline.errors import GraftlineError, RepositoryError, RunBusyError, UserError
from graftline.git.hub import Hub, open_hub
from graftline.git.landing import check_result_branch
from graftline.git.merging import Merger
from graftline.git.repository import Repository, list_files, open_repository
from graftline.journal import EventKind, Journal
from graftline.lease import Lease
from graftline.ledger import Ledger
from graftline.pinned import PinnedRun, read_pinned, write_pinned
from graftline.plan import graph_of
from graftline.preflight import (
    LoadBlocks,
    agents_of_blocks,
    check_disk,
    check_plan,
    check_request,
    check_tools,
    no_blocks,
)
from graftline.process import this_process
from graftline.records import count_extra_attempts
from graftline.recovery import end_left_behind, find_dead, is_suspended, is_unended, recover
from graftline.report.wording import money
from graftline.request import BuildRequest
from graftline.run import Run, carry_out, close_run
from graftline.settings import Settings, public_dump
from graftline.store import (
    RepositoryStore,
    RunFolder,
    find_place,
    repository_store,
    run_name,
    state_directory,
    state_place,
)
from graftline.verify.detect import find_test_command


async def enter_run(
    request: BuildRequest, run_id: str, environ: Mapping[str, str], *, load_blocks: LoadBlocks = no_blocks
) -> Run:
    """The run with a flow run's id, to be carried out by this process: pinned now, or before, and then as it was.

    `load_blocks` is asked for the agents that no profile and no type is called like.

    Raises:
        RunBusyError: another process carries it out.
        UserError: the request, the plan, a setting, the repository or the target has to be corrected.
        CannotRunError: git, an agent CLI, a test runner or disk space is missing.
    """
    folder = find_place(state_directory(environ), run_id)
    if folder is not None and folder.pinned.exists():
        run = await _enter_again(folder, environ, load_blocks)
    else:
        run = await _begin(request, lambda store: store.run(run_id), environ, load_blocks)
    carry_out(run)
    return run


@asynccontextmanager
async def opened_for_planning(
    request: BuildRequest, environ: Mapping[str, str], *, load_blocks: LoadBlocks = no_blocks
) -> AsyncIterator[Run]:
    """A request opened for nothing but a plan: it is carried out by nobody, and has its folder beside the runs.

    What it cost stays on the ledger, under an id of its own.

    Raises:
        UserError: the request, a setting, the repository or the target has to be corrected.
        CannotRunError: git, an agent CLI, a test runner or disk space is missing.
    """
    plan_id = str(uuid4())
    run = await _begin(request, lambda store: store.planning(plan_id), environ, load_blocks)
    try:
        yield run
    finally:
        await carry_through(remove_planning(run.folder, run.hub))
        close_run(run)


async def reopen_run(folder: RunFolder, environ: Mapping[str, str], *, passing: bool = False) -> Run:
    """A run as it was pinned and as its records stand; what a dead process left of it was ended and kept before.

    Its tests and agents are not looked for: it can be read, closed and changed, not carried out. `passing` says that
    the caller lets go of it soon, so that whoever wants to carry it out waits for that.

    Raises:
        RunBusyError: another process carries it out.
        UserError: it was never pinned, was cleaned up, or its records cannot be read.
    """
    pinned = read_pinned(folder)
    lease = await Lease.acquire(folder.path, passing=passing)
    try:
        journal = Journal.open(folder.journal, fence=lease.check)
        is_dead = is_unended(folder)
        # First of all, and also where nothing more can be done: they cost money.
        ended = await end_left_behind(folder, journal) if is_dead else ()
        _check_not_cleaned(journal)
        repository = await anyio.to_thread.run_sync(open_repository, Path(pinned.repository))
        hub = await open_hub(repository, folder.store.folder)
        settings = Settings.model_validate(pinned.settings)
        run = _assemble(pinned, folder, lease, repository, hub, settings, journal, environ)
        candidates = await hub.refs(run.ref("candidate"))
        run.candidates = max((int(ref.rpartition("/")[2]) for ref in candidates), default=0)
        if is_dead:
            run.recovered = await recover(run, ended)
    except BaseException:
        lease.release()
        raise
    return run


async def look_after_dead_runs(environ: Mapping[str, str]) -> tuple[str, ...]:
    """End and keep what dead processes left of any run in the state directory; a sentence for each such run."""
    said: list[str] = []
    for folder in find_dead(state_place(environ)):
        try:
            run = await reopen_run(folder, environ, passing=True)
        except (RunBusyError, RepositoryError):  # somebody else was faster; there is nothing to keep its work for
            continue
        except GraftlineError as error:
            said.append(f"run {folder.id} died, and what it left cannot be looked after: {error}")
            continue
        close_run(run)
        if run.recovered:
            name = run.pinned.name
            said.append(f"run {name}: {run.recovered}; go on with it: graftline resume {name}")
    return tuple(said)


async def close_suspended(folder: RunFolder, environ: Mapping[str, str], why: str) -> None:
    """Write the end of a suspended run, which no process of its own can write; `why` is its `stop_reason`.

    Raises:
        RunBusyError: a process carries it out by now.
    """
    run = await reopen_run(folder, environ, passing=True)
    try:
        if is_suspended(folder):  # somebody may have been faster
            run.stop_reason = why
            close(run, None)
    finally:
        close_run(run)


def take_changes(run: Run, today: Today) -> None:
    """Let an open run go on with the plan and the settings of today; finished work stays finished where it still fits.

    Base and target stay: they are what everything finished was made from and for.
    """
    for change in find_changes(run.pinned, today):
        run.journal.append(EventKind.PLAN_NOTED, text=f"taken over: {change}")
    run.settings = today.settings
    run.pinned = run.pinned.model_copy(
        update={"given": today.plan or run.pinned.given, "settings": public_dump(today.settings)}
    )
    if today.plan is not None and run.settled is not None:
        run.adopt(today.plan)
    else:
        write_pinned(run.folder, run.pinned)


def change_cap(run: Run, max_usd: float, *, keep: bool) -> None:
    """Let an open run go on under another cap of its own; `keep` also pins it, for every later entry into the run."""
    before = run.settings.cost.max_usd
    request = run.pinned.request
    limits = request.limits.model_copy(update={"max_cost_usd": max_usd})
    run.settings = run.settings.model_copy(update={"cost": run.settings.cost.model_copy(update={"max_usd": max_usd})})
    # In the request, too: what a run was asked for decides what counts as a change of its settings.
    run.pinned = run.pinned.model_copy(
        update={"request": request.model_copy(update={"limits": limits}), "settings": public_dump(run.settings)}
    )
    if keep and max_usd != before:
        write_pinned(run.folder, run.pinned)
        run.journal.append(EventKind.PLAN_NOTED, text=f"the run's cap was {money(before)} and is {money(max_usd)}")


async def _begin(
    request: BuildRequest,
    place: Callable[[RepositoryStore], RunFolder],
    environ: Mapping[str, str],
    load_blocks: LoadBlocks,
) -> Run:
    checked = await check_request(request, environ, load_blocks=load_blocks)
    store = repository_store(state_directory(environ), str(checked.repository.common_dir))
    folder = place(store)
    run_id = folder.id
    given = checked.manifest.plan if checked.manifest is not None else None
    name = run_name(given.title if given is not None else request.title, run_id)
    await check_result_branch(checked.repository, f"{checked.settings.git.branch_prefix}/{name}")
    lease = await Lease.acquire(folder.path)
    try:
        # The journal first: from now on the run has a name, and whoever finds it dead can tell what it was.
        exists = folder.journal.exists()
        journal = (
            Journal.open(folder.journal, fence=lease.check)
            if exists
            else Journal.create(folder.journal, run_id, name, fence=lease.check)
        )
        hub = await open_hub(checked.repository, store.folder)
        await hub.fetch_base(checked.repository, run_id, checked.target.commit)
        pinned = PinnedRun(
            id=run_id,
            name=name,
            request=request,
            repository=str(checked.repository.path),
            target=checked.target.branch,
            base=checked.target.commit,
            created=datetime.now(UTC),
            given=given,
            plan=None if checked.settings.planner.approve else given,
            settings=public_dump(checked.settings),
            notes=checked.notes,
        )
        run = _assemble(pinned, folder, lease, checked.repository, hub, checked.settings, journal, environ)
        run.test_command, run.test_tools = checked.test_command, checked.test_tools
        run.tree_bytes = checked.tree_bytes
        write_pinned(folder, pinned)  # with it, the start of the run is whole
        for note in checked.notes:
            journal.append(EventKind.PLAN_NOTED, text=note)
        _sign(run)
    except BaseException:
        lease.release()
        raise
    return run


async def _enter_again(folder: RunFolder, environ: Mapping[str, str], load_blocks: LoadBlocks) -> Run:
    run = await reopen_run(folder, environ)
    try:
        run.is_entered_again = True
        names = agents_of_blocks(run.pinned.request, run.repository, environ, plan=run.pinned.plan)
        today = read_today(run.pinned, run.repository, environ, blocks=await load_blocks(names))
        run.settings = _with_secrets(run.settings, today.settings)
        tracked, run.tree_bytes = await anyio.to_thread.run_sync(list_files, run.repository, run.base)
        run.test_command = find_test_command(run.settings.test, run.repository.path, environ, tracked=tracked)
        run.test_tools = "" if run.test_command is None else await check_tools(run.test_command, environ)
        await check_plan(run.pinned.plan, run.settings, environ)
        check_disk(run.tree_bytes, len(run.pinned.tasks), run.settings, environ)
        _sign(run)
        for change in find_changes(run.pinned, today):
            text = f"changed since the run began, and not taken over: {change}; `graftline resume --yes` would"
            run.journal.append(EventKind.WARNING, text=text)
    except BaseException:
        close_run(run)
        raise
    return run


def _check_not_cleaned(journal: Journal) -> None:
    if any(entry.event is EventKind.RUN_CLEANED for entry in journal.entries()):
        raise UserError(
            f"run {journal.header.name} was cleaned up, and what it had finished would have to be paid for again: "
            "start a new one. What was kept of it is shown by `graftline status` and `graftline diff`"
        )


def _sign(run: Run) -> None:
    """Say in the journal which process carries the run out from now on."""
    identity = this_process()
    run.journal.append(
        EventKind.RUN_PREPARED,
        run=run.id,
        name=run.pinned.name,
        base=run.base,
        target=run.pinned.target,
        tasks=0 if run.settled is None else len(run.settled.order),
        waits={} if run.settled is None else run.waits,
        pid=identity.pid,
        started=identity.started,
    )


def _assemble(
    pinned: PinnedRun,
    folder: RunFolder,
    lease: Lease,
    repository: Repository,
    hub: Hub,
    settings: Settings,
    journal: Journal,
    environ: Mapping[str, str],
) -> Run:
    return Run(
        pinned=pinned,
        folder=folder,
        lease=lease,
        repository=repository,
        hub=hub,
        settings=settings,
        journal=journal,
        ledger=Ledger.open(state_directory(environ)),
        merger=Merger(hub, pinned.name),
        environ=environ,
        settled=graph_of(pinned.plan) if pinned.plan is not None else None,
        retries_claimed=sum(count_extra_attempts(folder, spec.id) for spec in pinned.tasks),
    )


def _with_secrets(pinned: Settings, current: Settings) -> Settings:
    """Pinned settings whose profiles carry the keys of today's profiles of the same name and type."""
    profiles = dict(pinned.agents)
    for name, profile in pinned.agents.items():
        today = current.agents.get(name)
        if today is not None and today.type == profile.type:
            keys = {field: value for field, value in today if isinstance(value, SecretStr)}
            profiles[name] = profile.model_copy(update=keys)
    return pinned.model_copy(update={"agents": profiles})
