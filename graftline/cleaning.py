"""Cleaning up: removes what an ended run left on disk, but never work that is nowhere else unless its task is named.

A run of which nothing is kept goes altogether. One of which something is kept stays known, with the records that
`status`, `diff` and `take` read. The ledger's rows stay in any case: they are the books.

The order is worktrees, refs, folder, and the journal last, so that a clean-up that was killed can be done again. Its
entry in the journal comes before anything goes: a run without its refs must not be resumed, which would pay for
finished work once more.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
from pydantic import JsonValue

from graftline.errors import RepositoryError, RunBusyError, UnknownRunError
from graftline.git.compaction import compact
from graftline.git.folders import disk_bytes, is_real_folder, remove
from graftline.git.hub import Hub, find_hub
from graftline.git.landing import forget_results
from graftline.git.repository import Repository, open_repository
from graftline.journal import Entry, EventKind, Journal
from graftline.lease import Lease, holder_of
from graftline.pinned import PinnedRun, read_pinned
from graftline.records import RECORD_NAME
from graftline.recovery import is_suspended, is_unended
from graftline.remains import Remains, SoleWork, find_remains, find_scraps
from graftline.store import RepositoryStore, RunFolder

LEASE_FILES = ("lease.json", "lease.lock")
"""They stay as long as anybody can find the run: a lock whose file is deleted under somebody who waits is two locks."""


@dataclass(frozen=True)
class CleanUp:
    """What cleaning up one run removes, and the work that is kept because it is nowhere else.

    `freed_bytes` is what goes on disk, the hub's objects apart. Without a `repository` nobody could be asked what is
    somewhere else, and all work is kept.
    """

    run: RunFolder
    name: str
    refs: Mapping[str, str]
    worktrees: tuple[Path, ...]
    records: tuple[Path, ...]
    freed_bytes: int
    kept: tuple[SoleWork, ...]
    repository: Repository | None

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to remove."""
        return bool(self.refs or self.worktrees or self.records)


def hindrance(run: RunFolder, *, is_ours: bool = False) -> str:
    """Why a run cannot be cleaned up now; empty when it can. `is_ours` says that this process holds its lease."""
    holder = None if is_ours else holder_of(run.path)
    if holder is not None:
        return f"it is going on ({holder})"
    if is_suspended(run):
        return "it waits for a person's approval; `graftline abort` ends it"
    return "it was killed, and what its agents left has not been collected yet" if is_unended(run) else ""


async def plan_clean_up(run: RunFolder, discard: Collection[str], here: Repository | None) -> CleanUp:
    """What cleaning up a run would do, the work of the tasks in `discard` given up; nothing is changed.

    What is somewhere else is asked of the repository the run was started in, or else of `here`.

    Raises:
        RunBusyError: the run is going on, or was killed before it ended.
        UnknownRunError: it has no task of that name.
    """
    _require_end(run)
    return await _plan(run, discard, here)


async def clean_up(run: RunFolder, discard: Collection[str], here: Repository | None) -> CleanUp:
    """Clean up a run: what was removed, and what was kept. Raises as `plan_clean_up` does.

    A kill leaves a state in which it can be done again.
    """
    _require_end(run)
    lease = await Lease.acquire(run.path, passing=True)  # so that nobody enters the run meanwhile
    try:
        _require_end(run, is_ours=True)  # somebody may have entered it, and died, in between
        plan = await _plan(run, discard, here)
        if plan.is_needed:
            await _carry_out(plan, lease)
    finally:
        lease.release()
    return plan


async def tidy_hub(store: RepositoryStore, repository: Repository | None) -> int | None:
    """Give back the space in the hub that no ref needs any more; the bytes, or None while a run is going on."""
    hub = find_hub(store.folder)
    if hub is None:
        return 0
    if repository is not None:
        await forget_results(repository, hub)
    for place in store.plannings.glob("*"):  # one that was killed
        if holder_of(place) is None:
            await remove_planning(RunFolder(place), hub)
    places = (store.runs, store.plannings)
    return await compact(hub, is_idle=lambda: not any(holder_of(run) for each in places for run in each.glob("*")))


async def remove_planning(folder: RunFolder, hub: Hub) -> None:
    """Remove what a request that was opened for a plan has left: nothing in it is work."""
    await hub.delete_refs(await hub.refs(f"refs/graftline/{folder.id}/"))
    for place in (folder.worktrees, folder.path):
        if is_real_folder(place):
            await anyio.to_thread.run_sync(remove, place)


def _require_end(run: RunFolder, *, is_ours: bool = False) -> None:
    if reason := hindrance(run, is_ours=is_ours):
        raise RunBusyError(f"run {Journal.open(run.journal).header.name} cannot be cleaned up: {reason}")


async def _plan(run: RunFolder, discard: Collection[str], here: Repository | None) -> CleanUp:
    journal = Journal.open(run.journal)
    entries = journal.entries()
    hub, repository = find_hub(run.store.folder), here
    if run.pinned.exists() or not _holds_no_work(entries):
        pinned = read_pinned(run)
        _check_tasks(pinned, discard)
        repository = _repository(pinned, here)
        remains = await find_remains(run, pinned, entries, hub, repository)
    else:
        remains = await find_scraps(run, hub)
    kept = tuple(work for work in remains.work if work.task not in discard)
    worktrees = tuple(place for place in remains.places if not any(_belongs_to(place, work) for work in kept))
    lease = frozenset(map(run.path.joinpath, LEASE_FILES))
    records = tuple(_disposable(run.path, lease | _records(run) if kept else lease))
    freed = await anyio.to_thread.run_sync(lambda: sum(disk_bytes(path) for path in (*worktrees, *records)))
    return CleanUp(
        run=run,
        name=journal.header.name,
        refs=_refs_to_delete(remains, kept),
        worktrees=worktrees,
        records=tuple(sorted(records, key=lambda path: (path == run.journal, path == run.pinned))),
        freed_bytes=freed,
        kept=kept,
        repository=repository,
    )


def _holds_no_work(entries: list[Entry]) -> bool:
    """Whether a run without its pinned file never called an agent, or is what a killed clean-up left of it."""
    events = {entry.event for entry in entries}
    return EventKind.RUN_PREPARED not in events or EventKind.RUN_CLEANED in events


def _check_tasks(pinned: PinnedRun, discard: Collection[str]) -> None:
    known = {spec.id for spec in pinned.tasks}
    if unknown := sorted(set(discard) - known):
        names = ", ".join(map(repr, unknown))
        raise UnknownRunError(f"run {pinned.name} has no task {names}; it has {', '.join(sorted(known))}")


def _repository(pinned: PinnedRun, here: Repository | None) -> Repository | None:
    try:
        return open_repository(Path(pinned.repository))
    except RepositoryError:
        return here


def _refs_to_delete(remains: Remains, kept: tuple[SoleWork, ...]) -> dict[str, str]:
    """The refs that nothing of what is kept needs."""
    stay = {work.ref for work in kept}
    given_up = {work.ref for work in remains.work} - stay
    if any(work.path for work in kept):  # a worktree borrows the hub's objects, whichever ref leads to them
        stay = set(remains.refs) - given_up
    elif not given_up and any(work.ref and "/salvage/" not in work.ref for work in kept):
        stay |= remains.candidates  # in which finished work that is kept was put together
    return {ref: commit for ref, commit in remains.refs.items() if ref not in stay}


def _belongs_to(place: Path, work: SoleWork) -> bool:
    """Whether a place is this work, or lies beside it."""
    return work.path is not None and (place == work.path or place.name.startswith(f"{work.path.name}."))


def _records(run: RunFolder) -> frozenset[Path]:
    """The files of a run by which its work is found and its state is told.

    The folder of an attempt stays also when it has no record: it says that there was such an attempt.
    """
    own = {run.journal, run.pinned, run.report_json, run.report_markdown}
    calls = (*run.path.glob("tasks/*/*"), *run.path.glob("heal/*/*"))
    return frozenset({*own, *(folder / RECORD_NAME for folder in calls)})


def _disposable(folder: Path, keep: frozenset[Path]) -> Iterator[Path]:
    """What of a folder can go, in pieces as large as possible."""
    for path in folder.iterdir():
        if path in keep:
            continue
        if is_real_folder(path) and any(path in kept.parents for kept in keep):
            yield from _disposable(path, keep)
        else:
            yield path


async def _carry_out(plan: CleanUp, lease: Lease) -> None:
    run = plan.run
    kept: list[JsonValue] = [work.ref or str(work.path) for work in plan.kept]
    Journal.open(run.journal, fence=lease.check).append(EventKind.RUN_CLEANED, kept=kept)
    await _remove(plan.worktrees)
    if is_real_folder(run.worktrees) and not any(run.worktrees.iterdir()):
        run.worktrees.rmdir()
    hub = find_hub(run.store.folder)
    if hub is not None:
        await hub.delete_refs(plan.refs)
    await _remove(plan.records)
    if not plan.kept:
        await _remove((run.path,))


async def _remove(paths: tuple[Path, ...]) -> None:
    for path in paths:
        await anyio.to_thread.run_sync(remove, path)
