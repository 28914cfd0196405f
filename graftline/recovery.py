"""What a killed process left of a run: its agents are ended, their work is kept, its records are closed.

A process that is killed (`kill -9`, no memory left) ends nothing and writes nothing more. Whoever opens the run next
does it in its place, before anything else. Each step can be cut off and done again.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio

from graftline.agents.environment import PROMPT_FILE_VARIABLE, prompt_file
from graftline.agents.outcome import OutcomeKind, Usage
from graftline.attempt import NOT_CALLED, Ask, Place, conclude_attempt, heal_place, interrupted, task_place
from graftline.closing import close_dead
from graftline.continuation import continuation_of
from graftline.errors import GraftlineError
from graftline.git.worktrees import Worktree, remove_worktree
from graftline.healing import record_heal
from graftline.journal import Entry, EventKind, Journal, unheard
from graftline.lease import holder_of
from graftline.ledger import Role
from graftline.planning.asking import settle_answered
from graftline.private_files import write_file
from graftline.process import ProcessIdentity, end_family, end_group
from graftline.records import AttemptRecord, read_record
from graftline.retirement import remove_retired
from graftline.run import Run
from graftline.store import RunFolder, all_runs
from graftline.verify.runner import home_of_tests

GRACE_SECONDS = 3.0
_STAGE = re.compile(rb'\n\{"at":"[^"\n]*","event":"(run-(?:prepared|suspended|ended))"')


def is_unended(folder: RunFolder) -> bool:
    """Whether a run's journal has a beginning without an end: it goes on now or, when nobody carries it out, it died.

    One that is suspended has neither ended nor died.
    """
    return _stage(folder) == EventKind.RUN_PREPARED


def is_suspended(folder: RunFolder) -> bool:
    """Whether a run waits for a person without a process."""
    return _stage(folder) == EventKind.RUN_SUSPENDED


def _stage(folder: RunFolder) -> str:
    """What a run's journal tells last of its beginning, its waiting and its end; empty when it tells of neither.

    Only looked for, not read. It stands at the beginning of a line, where nothing that a plan or an agent holds can be.
    """
    try:
        stages = _STAGE.findall(folder.journal.read_bytes())
    except OSError:
        return ""
    return stages[-1].decode() if stages else ""


def find_suspended(state_dir: Path) -> list[RunFolder]:
    """The runs that wait for a person and have no process."""
    return [folder for folder in all_runs(state_dir) if is_suspended(folder) and holder_of(folder.path) is None]


def find_dead(state_dir: Path) -> list[RunFolder]:
    """The runs whose process died and that nobody has looked after since."""
    return [folder for folder in all_runs(state_dir) if is_unended(folder) and holder_of(folder.path) is None]


async def end_left_behind(folder: RunFolder, journal: Journal) -> tuple[str, ...]:
    """End what a dead process of a run left running, and name it; the caller holds the run's lease.

    All process groups that it recorded, and then what agents started and left their group, and tests that began to run
    in the moment before they were recorded; each side by side.
    """
    entries = last_entry(journal)
    ended: list[str] = []

    async def end(entry: Entry) -> None:
        process = ProcessIdentity(int(str(entry.data["pid"])), str(entry.data["started"]))
        if await end_group(process, GRACE_SECONDS):
            ended.append(f"{entry.data['what']}{f' of {entry.task}' if entry.task else ''} (process {process.pid})")

    async def end_others(entry: Entry) -> None:
        mark = f"{PROMPT_FILE_VARIABLE}={prompt_file(_folder_of(folder, entry))}"
        if await end_family(mark, GRACE_SECONDS):
            ended.append(f"what the agent of {entry.task} had started")

    async def end_tests(entry: Entry) -> None:
        label = str(entry.data["label"])
        if await end_family(f"HOME={home_of_tests(folder.verify(label))}", GRACE_SECONDS):
            ended.append(f"tests of {label}")

    async with anyio.create_task_group() as group:
        for entry in _of(entries, EventKind.PROCESS_STARTED):
            group.start_soon(end, entry)
    async with anyio.create_task_group() as group:
        for entry in _of(entries, EventKind.ATTEMPT_STARTED):
            group.start_soon(end_others, entry)
        for entry in _of(entries, EventKind.VERIFY_STARTED):
            group.start_soon(end_tests, entry)
    return tuple(sorted(ended))


async def recover(run: Run, ended: tuple[str, ...]) -> str:
    """Keep what a dead process of an open run left undone, and close its records; `ended` is what still ran of it.

    Says what was found and done, for people.
    """
    with unheard():
        entries = last_entry(run.journal)
        pid = int(str(entries[0].data["pid"]))
        told = f"process {pid} was killed or died"
        if ended:
            told += f"; ended what it left running: {', '.join(ended)}"
        run.journal.append(EventKind.WARNING, text=told, found_dead=True)
        write_file(run.folder.untold, b"")
        for entry in entries:
            if entry.event is EventKind.ATTEMPT_STARTED:
                await _finish(run, entry, entries)
        _settle(run)
        for path in run.folder.test_worktrees():  # nobody has worked in these
            await remove_worktree(Worktree.at(path, run.base))
        await remove_retired(run)
        kept = [str(entry.data["ref"]) for entry in _of(last_entry(run.journal), EventKind.SALVAGED)]
        close_dead(run, pid)
    return f"{told}; its unfinished work is kept on {', '.join(kept)}" if kept else told


def last_entry(journal: Journal) -> list[Entry]:
    """A run's journal since a process last began to carry the run out."""
    entries = journal.entries()
    begin = max(index for index, entry in enumerate(entries) if entry.event is EventKind.RUN_PREPARED)
    return entries[begin:]


async def _finish(run: Run, started: Entry, entries: Sequence[Entry]) -> None:
    """Bring one attempt to an end: from its record when it has one, else as interrupted, with its work kept."""
    place = _place_of(run, started)
    base = str(started.data["base"])
    worktree = Worktree.at(place.worktree, base)
    record = read_record(place.folder)
    was_called = any(
        entry.data["what"] == "agent" and (entry.task, entry.attempt) == (place.task, place.number)
        for entry in _of(entries, EventKind.PROCESS_STARTED)
    )
    if record is not None:
        await _complete(run, place, record, entries)
        if not _is_gone_on_with(run, place, entries):
            await remove_worktree(worktree)
    elif worktree.is_whole:
        spec, key = run.pinned.task(place.task), str(started.data["key"])
        agent = run.agent(spec)
        # The same as when it began: its own record is not there yet.
        continuation = continuation_of(run, spec.id, key, agent) if place.continues is not None else None
        ask = Ask(spec=spec, base=base, key=key, prompt="", continuation=continuation)
        outcome = interrupted(agent, Usage() if was_called else NOT_CALLED)
        seconds = (entries[-1].at - started.at).total_seconds()
        # What cannot be kept stays in its worktree, and the journal says where.
        with contextlib.suppress(GraftlineError):
            await conclude_attempt(run, ask, place, worktree, outcome, max(0.0, seconds))
    elif not was_called:  # killed while it was cut: nobody has worked in it
        await remove_worktree(worktree)


def _is_gone_on_with(run: Run, place: Place, entries: Sequence[Entry]) -> bool:
    """Whether a later attempt was at work in the same worktree: what it left there is in no record yet."""
    others = (_place_of(run, entry) for entry in _of(entries, EventKind.ATTEMPT_STARTED))
    return any(other.worktree == place.worktree and other.number > place.number for other in others)


async def _complete(run: Run, place: Place, record: AttemptRecord, entries: Sequence[Entry]) -> None:
    """What comes after an attempt's record: its ref, and its end in the journal."""
    hub, commit = run.hub, record.commit
    if commit is not None and await hub.resolve(place.ref) != commit and await hub.resolve(commit) == commit:
        await hub.update_ref(place.ref, commit)
    events = {entry.event: entry for entry in entries if entry.task == place.task}
    if record.role is Role.HEAL:
        asked = events.get(EventKind.HEAL_STARTED)
        if asked is not None and EventKind.HEAL_ENDED not in events:
            tests = asked.data["tests"]
            record_heal(run, record, [str(test) for test in tests] if isinstance(tests, list) else [])
    elif record.is_done and EventKind.TASK_SUCCEEDED not in events:
        run.journal.append(EventKind.TASK_SUCCEEDED, task=place.task)


def _settle(run: Run) -> None:
    """Complete the run's open rows in the ledger: what a call that was cut off has cost, nobody knows."""
    settle_answered(run, run.folder.store.answers)
    for call in run.ledger.account(run.id).calls:
        if call.is_open:
            run.ledger.complete(call.id, Usage(), outcome=OutcomeKind.INTERRUPTED)


def _place_of(run: Run, started: Entry) -> Place:
    """The place of the attempt whose start an entry tells."""
    task, number = str(started.task), int(str(started.attempt))
    if started.data["round"]:
        return heal_place(run, task, number)
    continues = started.data.get("continues")
    return task_place(run, task, number, continues=continues if isinstance(continues, int) else None)


def _folder_of(folder: RunFolder, started: Entry) -> Path:
    """Where that attempt's prompt, log and record are."""
    task, number = str(started.task), int(str(started.attempt))
    return folder.heal(number, task) if started.data["round"] else folder.attempt(task, number)


def _of(entries: Sequence[Entry], event: EventKind) -> Iterator[Entry]:
    return (entry for entry in entries if entry.event is event)
