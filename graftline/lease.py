"""The lease of a run: who carries it out, so that nobody else does at the same time.

The kernel's file lock decides, and dies with its holder, however that dies. Each holder also gets the next number, a
fencing token in the sense of Kleppmann ("How to do distributed locking", 2016): what must not be done by two checks
that its number is still the newest, so that even a lock that was lost (its file deleted, a file system that forgot it)
does not let a former holder write into a later one's run.
"""

import socket
from datetime import UTC, datetime
from pathlib import Path

import anyio
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from graftline.errors import LeaseLostError, RunBusyError
from graftline.file_lock import FileLock
from graftline.private_files import make_folder, write_file
from graftline.process import ProcessIdentity, is_alive, this_process

PATIENCE_SECONDS = 1.0
"""Who only looks whether a lease is held holds it for a moment."""
PASSING_SECONDS = 60.0
"""Who looks after what a dead process left of a run, or cleans it up, lets go of it when that is done."""
POLL_SECONDS = 0.05


class Holder(BaseModel):
    """Who took the lease last, as `lease.json` in the run's folder says; a `passing` one does not carry the run out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: int
    pid: int
    started: str
    host: str
    since: AwareDatetime
    passing: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"

    @property
    def process(self) -> ProcessIdentity | None:
        """The holder's process, when it runs on this machine: the only one whose processes can be seen and ended."""
        identity = ProcessIdentity(self.pid, self.started)
        return identity if self.host == socket.gethostname() and is_alive(identity) else None


class Lease:
    """The right to carry out one run, held until it is released or this process dies."""

    def __init__(self, folder: Path, lock: FileLock, holder: Holder) -> None:
        self.folder = folder
        self.holder = holder
        self._lock = lock

    @classmethod
    async def acquire(cls, folder: Path, *, passing: bool = False) -> "Lease":
        """Take the lease of the run with this folder, which is made when missing.

        Who is to carry the run out waits for a `passing` holder to be done.

        Raises:
            RunBusyError: somebody else holds it; the message says who.
        """
        lock = FileLock(_lock_file(make_folder(folder)))
        begun = anyio.current_time()
        while not lock.try_acquire():
            holder = _read(folder)
            is_soon_free = holder is not None and holder.passing and not passing
            if anyio.current_time() - begun >= (PASSING_SECONDS if is_soon_free else PATIENCE_SECONDS):
                break
            await anyio.sleep(POLL_SECONDS)
        before = _read(folder)
        if not lock.is_held:
            raise RunBusyError(
                f"run {folder.name} is being carried out by {before or 'another process'}: wait for it, or stop it "
                "with `graftline abort`"
            )
        try:
            process = this_process()
            holder = Holder(
                token=before.token + 1 if before else 1,
                pid=process.pid,
                started=process.started,
                host=socket.gethostname(),
                since=datetime.now(UTC),
                passing=passing,
            )
            write_file(_record_file(folder), holder.model_dump_json().encode())
        except BaseException:
            lock.release()
            raise
        return cls(folder, lock, holder)

    def check(self) -> None:
        """Make sure that nobody has taken the run over; called right before what two must not do.

        Raises:
            LeaseLostError: somebody has.
        """
        newest = _read(self.folder)
        if newest is None or newest.token != self.holder.token:
            raise LeaseLostError(
                f"run {self.folder.name} was taken over by {newest or 'another process'}: this process leaves it"
            )

    def release(self) -> None:
        """Let go of the run, which is then nobody's; once is enough."""
        self._lock.release()


def holder_of(folder: Path) -> Holder | None:
    """Who carries out the run with this folder now; None when nobody does."""
    holder = _read(folder)
    lock = FileLock(_lock_file(folder))
    if holder is None:
        return None
    if not lock.try_acquire(shared=True):
        return _read(folder)
    lock.release()
    return None


def _lock_file(folder: Path) -> Path:
    return folder / "lease.lock"


def _record_file(folder: Path) -> Path:
    return folder / "lease.json"


def _read(folder: Path) -> Holder | None:
    """The latest holder, which may have let go of the lease."""
    try:
        return Holder.model_validate_json(_record_file(folder).read_bytes())
    except (FileNotFoundError, ValidationError):  # before the first holder, or cut by a power failure
        return None
