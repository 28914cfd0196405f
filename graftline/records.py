"""Attempt records: what each attempt came to, kept in its folder, and how finished work is found again.

Within a run a task is done when an attempt succeeded for the same key: the task's own words and the tree it started
from. Such work is never paid for twice, whatever Prefect remembers.
"""

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from graftline.agents.outcome import FREE, POLICIES, OutcomeKind, Usage
from graftline.agents.tiers import Tier
from graftline.git.hub import Hub
from graftline.ledger import Role
from graftline.plan import TaskSpec
from graftline.private_files import write_file
from graftline.store import RunFolder

RECORD_NAME = "record.json"
KEY_FIELDS = frozenset({"id", "prompt", "depends_on", "writes", "read_only", "agent", "tier", "tests", "acceptance"})
"""Fields of a task that make it another task when they change."""
FREE_FIELDS = frozenset(
    {
        "title",
        "after",
        "size",
        "labels",
        "priority",
        "timeout_seconds",
        "max_retries",
        "concurrency_group",
        "env",
    }
)
"""Fields that say how it is run or shown; finished work stays valid when they change."""


class AttemptState(StrEnum):
    """What an attempt came to.

    `interrupted`: it was ended from outside, or by its money limit. `not-called`: the caps left nothing for its call.
    """

    SUCCEEDED = "succeeded"
    NO_CHANGE = "no-change"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    NOT_CALLED = "not-called"


class AttemptRecord(BaseModel):
    """One attempt, as `record.json` in its folder says.

    `continues` is the number of the attempt whose worktree and private home this one went on in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    number: int
    role: Role
    round: int
    key: str
    base: str
    state: AttemptState
    commit: str | None
    outcome: OutcomeKind
    detail: str
    last_message: str
    profile: str
    tier: Tier | None
    backend: str
    version: str
    model: str
    session_id: str
    session_usage: Usage | None = None
    continues: int | None = None
    retry_at: datetime | None = None
    cost_usd: float | None
    seconds: float
    ended: datetime
    paths: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    salvage: str | None

    @property
    def is_done(self) -> bool:
        """The task needs no further attempt."""
        return self.state in {AttemptState.SUCCEEDED, AttemptState.NO_CHANGE}

    @property
    def counts(self) -> bool:
        """It ended by itself: what was cut off, refused, stuck or never begun takes none of a task's tries."""
        was_cut = self.state in {AttemptState.INTERRUPTED, AttemptState.NOT_CALLED}
        return not was_cut and POLICIES[self.outcome] not in FREE


def task_key(spec: TaskSpec, base_tree: str) -> str:
    """The identity a task's finished work is found under: digest of its key fields and the tree it starts from."""
    fields = spec.model_dump(mode="json", include=set(KEY_FIELDS))
    text = json.dumps([fields, base_tree], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_record(folder: Path, record: AttemptRecord) -> None:
    """Put an attempt's record into its folder, whole or not at all."""
    write_file(folder / RECORD_NAME, record.model_dump_json(indent=2).encode())


def drop_record(folder: Path) -> None:
    """Take the record out of an attempt's folder, if there is one: the attempt in it is made again."""
    (folder / RECORD_NAME).unlink(missing_ok=True)


def read_record(folder: Path) -> AttemptRecord | None:
    """The record of an attempt; None when it never got so far, or the file is damaged (its work is then done again)."""
    try:
        return AttemptRecord.model_validate_json((folder / RECORD_NAME).read_text())
    except (OSError, ValidationError):
        return None


def task_records(run_folder: RunFolder, task: str) -> tuple[AttemptRecord, ...]:
    """The records of a task's attempts, oldest first."""
    return _records(run_folder.attempts(task))


def count_extra_attempts(run_folder: RunFolder, task: str) -> int:
    """How many attempts a task had beyond its first."""
    return max(0, count_own_attempts(run_folder, task) - 1)


def count_own_attempts(run_folder: RunFolder, task: str) -> int:
    """How many attempts a task had that count: a signal, a provider's refusal or a question is not its failure."""
    return sum(record.counts for record in task_records(run_folder, task))


def heal_records(run_folder: RunFolder, task: str) -> tuple[AttemptRecord, ...]:
    """The records of a task's heal calls, oldest first."""
    return _records(run_folder.heals(task))


def _records(folders: tuple[Path, ...]) -> tuple[AttemptRecord, ...]:
    return tuple(record for folder in folders if (record := read_record(folder)) is not None)


async def find_finished(hub: Hub, records: tuple[AttemptRecord, ...], key: str, refs: str) -> AttemptRecord | None:
    """The record of finished work under a key whose commit the hub still holds on one of the refs below a path."""
    done = [record for record in reversed(records) if record.key == key and record.is_done]
    if not done:
        return None
    held = set((await hub.refs(refs)).values())
    return next((record for record in done if record.commit in held), None)
