"""The journal: a run's own append-only record, from which `status` and a resumed run learn what happened.

One JSON object per line; the first is the header. A line is on disk before `append` returns, so what the journal says
happened, happened. The last line may have been cut by a crash and is then ignored; damage anywhere else is an error.
"""

import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from graftline.errors import GraftlineError, UnknownRunError, UserError
from graftline.private_files import write_file, writing

# Raised whenever an older graftline would misread the file, which includes every new kind of event.
FORMAT = 3


class EventKind(StrEnum):
    """What a journal entry tells."""

    RUN_PREPARED = "run-prepared"
    PLAN_NOTED = "plan-noted"
    PLAN_PROPOSED = "plan-proposed"
    PLAN_SETTLED = "plan-settled"
    PLAN_PATCHED = "plan-patched"
    APPROVAL_ASKED = "approval-asked"
    APPROVAL_GIVEN = "approval-given"
    RUN_SUSPENDED = "run-suspended"
    ATTEMPT_STARTED = "attempt-started"
    PROCESS_STARTED = "process-started"
    PROVIDER_WAITED_FOR = "provider-waited-for"
    SETUP = "setup"
    AGENT_PROGRESS = "agent-progress"
    AGENT_STATUS = "agent-status"
    AGENT_LOOPING = "agent-looping"
    QUESTION_ASKED = "question-asked"
    QUESTION_ANSWERED = "question-answered"
    ATTEMPT_ENDED = "attempt-ended"
    TASK_SUCCEEDED = "task-succeeded"
    TASK_FAILED = "task-failed"
    TASK_STOPPED = "task-stopped"
    TASK_SKIPPED = "task-skipped"
    MERGE_DONE = "merge-done"
    VERIFY_STARTED = "verify-started"
    VERIFY_ENDED = "verify-ended"
    HEAL_STARTED = "heal-started"
    HEAL_ENDED = "heal-ended"
    HEAL_DROPPED = "heal-dropped"
    LANDED = "landed"
    LEFT_ON_BRANCH = "left-on-branch"
    SALVAGED = "salvaged"
    COST_WARNING = "cost-warning"
    CAP_REACHED = "cap-reached"
    WARNING = "warning"
    RUN_ENDED = "run-ended"
    RUN_CLEANED = "run-cleaned"


# Told to listeners only: an agent may emit thousands of lines, they are in its log, and nobody resumes from them.
TRANSIENT = frozenset({EventKind.AGENT_PROGRESS})


class Entry(BaseModel):
    """One thing that happened in a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    event: EventKind
    task: str | None = None
    attempt: int | None = None
    data: dict[str, JsonValue] = {}


class Header(BaseModel):
    """The first line of a journal; whatever the format, it names the run."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer format may say more

    format: int = Field(ge=1)
    run: str
    name: str
    created: AwareDatetime


Listener = Callable[[Entry], None]
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("journal_listeners", default=())


@contextmanager
def listening(callback: Listener) -> Iterator[None]:
    """Call `callback` with every entry appended inside the context, asyncio tasks and worker threads included.

    It is called on the appending thread once the entry is on disk, and must neither block nor raise.
    """
    token = _listeners.set((*_listeners.get(), callback))
    try:
        yield
    finally:
        _listeners.reset(token)


@contextmanager
def unheard() -> Iterator[None]:
    """Tell nobody of entries appended inside the context: they are of another time than what listeners follow."""
    token = _listeners.set(())
    try:
        yield
    finally:
        _listeners.reset(token)


def read_header(path: Path) -> Header | None:
    """The header of a journal of any format; None when there is no journal or its first line is not a header."""
    try:
        with path.open("rb") as file:
            return Header.model_validate_json(file.readline())
    except (OSError, ValidationError):
        return None


def _nobody_else_writes() -> None:
    """The fence of a journal that no lease guards."""


@dataclass(frozen=True)
class Journal:
    """An open journal. It holds no file handle, so threads and processes may share or forget it freely."""

    path: Path
    header: Header
    fence: Callable[[], None] = field(default=_nobody_else_writes, repr=False, compare=False)
    """Called before each line is written, with the file locked; what it raises keeps the line out."""

    @classmethod
    def create(
        cls, path: Path, run_id: str, name: str, *, fence: Callable[[], None] = _nobody_else_writes
    ) -> "Journal":
        """Start the journal of a new run; one that exists already is an error, never overwritten."""
        if path.exists():
            raise GraftlineError(f"{path} exists already: the journal of a run is started once")
        header = Header(format=FORMAT, run=run_id, name=name, created=datetime.now(UTC))
        fence()
        write_file(path, header.model_dump_json().encode() + b"\n")
        return cls(path, header, fence)

    @classmethod
    def open(cls, path: Path, *, fence: Callable[[], None] = _nobody_else_writes) -> "Journal":
        """Open the journal of an earlier run, to read or, with the fence of its lease, to write it.

        A format newer than this graftline knows is refused.
        """
        if not path.exists():
            raise UnknownRunError(f"no journal at {path}: that run never started, or its records were deleted")
        header = read_header(path)
        if header is None:
            raise GraftlineError(f"{path}:1: the header cannot be read, so nothing after it can be trusted")
        if header.format > FORMAT:
            raise UserError(
                f"{path} was written by a newer graftline (journal format {header.format}, this one knows {FORMAT}): "
                "update graftline to work with this run"
            )
        return cls(path, header, fence)

    def append(
        self, event: EventKind, *, task: str | None = None, attempt: int | None = None, **data: JsonValue
    ) -> Entry:
        """Record an entry, on disk when this returns, and tell the listeners; `TRANSIENT` events are only told.

        Text that is not valid Unicode is made so, and a number that is not finite becomes null.
        """
        cleaned = {key: _clean(value) for key, value in data.items()}
        entry = Entry(at=datetime.now(UTC), event=event, task=task, attempt=attempt, data=cleaned)
        if event not in TRANSIENT:
            self._write(entry.model_dump_json(exclude_defaults=True).encode() + b"\n")
        for listener in _listeners.get():
            listener(entry)
        return entry

    def entries(self) -> list[Entry]:
        """All entries in the order they were appended; a last line that was cut is left out."""
        _header, *lines = self.path.read_bytes().split(b"\n")
        entries = []
        for number, line in enumerate(lines, start=2):
            is_last = number == len(lines) + 1
            if is_last and not line:
                break
            try:
                entries.append(Entry.model_validate_json(line))
            except ValidationError as error:
                if is_last:
                    break
                raise GraftlineError(
                    f"{self.path}:{number}: the line is damaged and more follow it, so the record of this run cannot "
                    "be trusted. The work itself is on its refs: look at it with `graftline diff`."
                ) from error
        return entries

    def _write(self, line: bytes) -> None:
        with writing(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            try:
                # flock belongs to the open file, so it keeps threads apart as well as processes.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self.fence()
                _mend(descriptor)
                written = os.write(descriptor, line)
                while written < len(line):  # the next write says why: a full disk takes part of a line first
                    written += os.write(descriptor, line[written:])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _mend(descriptor: int) -> None:
    """Make the file end with a whole line: what a crash cut off is dropped, only a lost line end is added."""
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return
    content = os.pread(descriptor, size, 0)
    start = content.rfind(b"\n") + 1
    try:
        json.loads(content[start:])
    except ValueError:
        os.ftruncate(descriptor, start)
    else:
        os.write(descriptor, b"\n")


def _clean(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {str(_clean(key)): _clean(item) for key, item in value.items()}
    return value
