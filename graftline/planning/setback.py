"""What a planner is told of a task that failed for good: where the plan stands, and how the task's attempts ended.

All of it is what agents and their programs said, at a bearable length, and without the places of this machine.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

from graftline.journal import Entry, EventKind
from graftline.records import AttemptRecord, task_records
from graftline.run import Run
from graftline.text import plain_end, plain_text

MOST_ATTEMPTS: Final = 3
MOST_FILES: Final = 60
DETAIL_CHARACTERS: Final = 2_000
MESSAGE_CHARACTERS: Final = 4_000
PATH_CHARACTERS: Final = 300


class FailedAttempt(BaseModel):
    """One attempt of the failed task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    outcome: str
    detail: str
    last_message: str
    changed: tuple[str, ...]


class Setback(BaseModel):
    """A task that failed for good, and what else was done by then; pinned, so that it is asked about in the same words.

    `failed` are all tasks that did, also those that a patch was refused for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    attempts: tuple[FailedAttempt, ...]
    finished: tuple[str, ...]
    failed: tuple[str, ...]

    def standings(self, tasks: Iterable[str]) -> list[str]:
        """Where each task stands, a line each."""
        said = {**dict.fromkeys(self.failed, "failed"), **dict.fromkeys(self.finished, "finished")}
        return [f"{task}: {said.get(task, 'not begun')}" for task in tasks]


def setback_of(run: Run, task: str, finished: Mapping[str, AttemptRecord]) -> Setback:
    """What happened to a task that failed for good, as the run's records tell."""
    records = [record for record in task_records(run.folder, task) if not record.is_done][-MOST_ATTEMPTS:]
    return Setback(
        task=task,
        attempts=tuple(_failed_attempt(record, run) for record in records),
        finished=tuple(name for name in run.graph.order if name in finished),
        failed=tuple(name for name in run.graph.order if name in run.given_up),
    )


def failed_before_suspension(entries: Iterable[Entry]) -> frozenset[str]:
    """The tasks that had failed for good when a run was suspended that is entered again; none if it just ended."""
    failed: set[str] = set()
    is_suspended = False
    for entry in entries:
        match entry.event:
            case EventKind.TASK_FAILED | EventKind.TASK_STOPPED:
                failed.add(entry.task or "")
            case EventKind.RUN_SUSPENDED:
                is_suspended = True
            case EventKind.RUN_PREPARED:
                failed = failed if is_suspended else set()
                is_suspended = False
            case EventKind.RUN_ENDED:
                is_suspended = False
            case _:
                pass
    return frozenset(failed)


def _failed_attempt(record: AttemptRecord, run: Run) -> FailedAttempt:
    changed = [plain_text(path, PATH_CHARACTERS) for path in record.paths[:MOST_FILES]]
    if len(record.paths) > MOST_FILES:
        changed.append(f"and {len(record.paths) - MOST_FILES} more")
    return FailedAttempt(
        number=record.number,
        outcome=record.outcome,
        detail=_without_places(plain_end(record.detail, DETAIL_CHARACTERS), run),
        last_message=_without_places(plain_end(record.last_message, MESSAGE_CHARACTERS), run),
        changed=tuple(changed),
    )


def _without_places(text: str, run: Run) -> str:
    """A text in which files of a worktree are named from its root, and no other place of the run or its repository."""
    text = re.sub(rf"{re.escape(str(run.folder.worktrees))}/[^/\s]+/?", "", text)
    for place in (run.folder.path, run.folder.store.folder, run.repository.path):
        text = text.replace(str(place), "…")
    return text
