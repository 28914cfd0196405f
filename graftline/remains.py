"""What an ended run still has in the hub and among the worktrees, and which of it is work that is nowhere else.

Work is what attempts and heal calls did. It is somewhere else when a branch or a tag of the user's repository contains
its commit, or contains a result that it was merged into (as other commits, when history is linear). Everything else is
made from work or holds none: candidates, worktrees whose work was taken, reserved refs, commits that change nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
from pydantic import JsonValue

from graftline.git.folders import is_real_folder
from graftline.git.hub import Hub
from graftline.git.repository import Repository
from graftline.git.whereabouts import kept_commits
from graftline.journal import Entry, EventKind
from graftline.pinned import PinnedRun
from graftline.records import RECORD_NAME, AttemptRecord, AttemptState, read_record
from graftline.store import VERIFY_PREFIX, RunFolder

UNKNOWN = "of a kind that this version does not know"
BESIDE_A_WORKTREE = frozenset({"index", "exclude", "index.staging"})
"""How files are called that lie beside a worktree and go with it."""
SET_ASIDE = "aside"
"""How the folder is called that holds the histories of repositories an agent made inside its worktree."""


@dataclass(frozen=True)
class SoleWork:
    """Work that is nowhere else: at a commit on a ref of the hub, or in a folder from which it was never taken.

    `task` is empty where nobody knows whose it is; `what` says to a person what it is.
    """

    task: str
    what: str
    ref: str = ""
    commit: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class Remains:
    """What is left of a run: its refs, what lies among its worktrees, and which work in them is nowhere else.

    `candidates` are the refs of results that no branch or tag contains; what was put together in them is on refs of its
    own, or merged elsewhere.
    """

    refs: Mapping[str, str]
    candidates: frozenset[str]
    places: tuple[Path, ...]
    work: tuple[SoleWork, ...]


async def find_remains(
    folder: RunFolder, pinned: PinnedRun, entries: Sequence[Entry], hub: Hub | None, repository: Repository | None
) -> Remains:
    """Look at what is left of a run; nothing is changed. Without its repository, all work counts as nowhere else."""
    refs = {} if hub is None else await hub.refs(f"refs/graftline/{folder.id}")
    calls = tuple(_calls(folder, pinned))
    records = [call.record for call in calls if call.record]
    deliveries = _deliveries(entries)
    made = {record.commit for record in records if record.commit}
    kept: frozenset[str] = frozenset()
    if repository is not None:
        kept = await anyio.to_thread.run_sync(kept_commits, repository, {*refs.values(), *made, *deliveries})
    trees = {} if hub is None else await hub.trees_of({*refs.values(), *(record.base for record in records)})
    delivered = frozenset(part for commit, parts in deliveries.items() if commit in kept for part in parts)
    judge = _Judge(folder, calls, refs, kept, trees, delivered)
    places = _places(folder)
    return Remains(
        refs=refs,
        candidates=frozenset(ref for ref, commit in refs.items() if "/candidate/" in ref and commit not in kept),
        places=places,
        work=(*judge.on_refs(), *judge.in_places(places)),
    )


async def find_scraps(folder: RunFolder, hub: Hub | None) -> Remains:
    """What is left of a run that never called an agent."""
    refs = {} if hub is None else await hub.refs(f"refs/graftline/{folder.id}")
    return Remains(refs, candidates=frozenset(), places=_places(folder), work=())


def _places(folder: RunFolder) -> tuple[Path, ...]:
    return tuple(sorted(folder.worktrees.iterdir())) if is_real_folder(folder.worktrees) else ()


Part = tuple[int, str]
"""What was merged into a result: the round of healing, 0 for the tasks themselves, and the task."""


def _deliveries(entries: Sequence[Entry]) -> dict[str, frozenset[Part]]:
    """The commits that landed or were left on a branch, with what the journal says had been merged by then."""
    deliveries: dict[str, frozenset[Part]] = {}
    merged: set[Part] = set()
    for entry in entries:
        match entry.event:
            case EventKind.MERGE_DONE:
                number = int(str(entry.data["round"]))
                if number == 0:
                    merged.clear()
                merged |= {(number, task) for task in _names(entry.data["merged"])}
            case EventKind.HEAL_DROPPED:
                merged = {part for part in merged if part[0] != entry.data["round"]}
            case EventKind.LANDED | EventKind.LEFT_ON_BRANCH:
                deliveries[str(entry.data["commit"])] = frozenset(merged)
            case _:
                pass
    return deliveries


@dataclass(frozen=True)
class _Call:
    """One attempt or heal call: where its record is, and how its refs and its worktree are called."""

    task: str
    round: int
    called: str
    folder: Path
    ref: str
    salvage: str
    worktree: str
    record: AttemptRecord | None

    @property
    def has_ended(self) -> bool:
        """Whether its work was taken: the record comes after that, even when it cannot be read any more."""
        return (self.folder / RECORD_NAME).exists()

    def owns(self, ref: str) -> bool:
        """Whether a ref holds this call's work, or what was salvaged of an earlier one in the same place."""
        return ref in {self.ref, self.salvage} or ref.startswith(f"{self.salvage}-")

    def __str__(self) -> str:
        if self.record is None:
            return f"{self.called}, which never came to its end"
        detail = f": {self.record.detail}" if self.record.detail and not self.record.is_done else ""
        return f"{self.called}, {self.record.state}{detail}"


def _calls(folder: RunFolder, pinned: PinnedRun) -> Iterator[_Call]:
    prefix = f"refs/graftline/{folder.id}"
    for spec in pinned.tasks:
        task = spec.id
        for path in folder.attempts(task):
            number = int(path.name)
            yield _Call(
                task=task,
                round=0,
                called=f"attempt {number}",
                folder=path,
                ref=f"{prefix}/task/{task}/{number}",
                salvage=f"{prefix}/salvage/{task}/{number}",
                worktree=folder.worktree(task, number).name,
                record=read_record(path),
            )
        for path in folder.heals(task):
            number = int(path.parent.name)
            yield _Call(
                task=task,
                round=number,
                called=f"the heal of round {number}",
                folder=path,
                ref=f"{prefix}/heal/{number}/{task}",
                salvage=f"{prefix}/salvage/{task}/heal-{number}",
                worktree=folder.heal_worktree(number, task).name,
                record=read_record(path),
            )


@dataclass(frozen=True)
class _Judge:
    """Everything there is to know for the verdict on each ref and place of one run."""

    folder: RunFolder
    calls: tuple[_Call, ...]
    refs: Mapping[str, str]
    kept: frozenset[str]
    trees: Mapping[str, str]
    delivered: frozenset[Part]

    def on_refs(self) -> Iterator[SoleWork]:
        """The work on refs that is nowhere else."""
        for ref, commit in self.refs.items():
            kind = ref.removeprefix(f"refs/graftline/{self.folder.id}/").partition("/")[0]
            call = next((call for call in self.calls if call.owns(ref)), None)
            # A task's ref is only reserved until there is a record.
            is_reserved = kind == "task" and not (call and call.has_ended)
            if kind in {"base", "target", "candidate"} or is_reserved or commit in self.kept:
                continue
            if call is None:
                yield SoleWork("", UNKNOWN, ref=ref, commit=commit)
            elif kind == "salvage" or not (self._is_empty(call, commit) or self._was_delivered(call, commit)):
                yield SoleWork(call.task, str(call), ref=ref, commit=commit)

    def in_places(self, places: Sequence[Path]) -> Iterator[SoleWork]:
        """The work in worktrees, and in what lies beside them, that was never taken."""
        by_name = {call.worktree: call for call in self.calls}
        for place in places:
            name, _, rest = place.name.partition(".")  # ids have no dots
            call = by_name.get(name)
            if rest in BESIDE_A_WORKTREE or (call is None and name.startswith(VERIFY_PREFIX)):
                continue
            if call is None:
                yield SoleWork("", UNKNOWN, path=place)
            elif rest == SET_ASIDE:
                yield SoleWork(call.task, f"history of a repository that {call.called} made inside", path=place)
            elif rest or not self._was_taken(call):
                yield SoleWork(call.task, f"files of {call}", path=place)

    def _is_empty(self, call: _Call, commit: str) -> bool:
        """Whether a commit changes nothing."""
        tree = self.trees.get(commit)
        return call.record is not None and tree is not None and tree == self.trees.get(call.record.base)

    def _was_delivered(self, call: _Call, commit: str) -> bool:
        """Whether a commit was merged into a result that is kept elsewhere."""
        if (call.round, call.task) not in self.delivered or call.record is None or call.record.commit != commit:
            return False
        # The journal says which task was merged, not which attempt: of several that succeeded it could be any.
        rivals = [one for one in self.calls if (one.round, one.task) == (call.round, call.task) and one.has_ended]
        return sum(one.record is None or one.record.state is AttemptState.SUCCEEDED for one in rivals) == 1

    def _was_taken(self, call: _Call) -> bool:
        """Whether what a call's record says of its work is so: its commit is held, and its salvage there."""
        record = call.record
        if record is None:
            return False
        held = record.commit is None or record.commit in self.kept or record.commit in self.refs.values()
        return held and (record.salvage is None or record.salvage in self.refs)


def _names(value: JsonValue) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
