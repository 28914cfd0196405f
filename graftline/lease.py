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
POLL_SECONDS = 0.05


class Holder(BaseModel):
    """Who carries out a run, as `lease.json` in its folder says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: int
    pid: int
    started: str
    host: str
    since: AwareDatetime

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"

    @property
    def process(self) -> ProcessIdentity | None:
        """The holder's process, when it runs on this machine: the only one whose processes can be seen and ended."""
        identity = ProcessIdentity(self.pid, self.started)
        return identity if self.host == socket.gethostname() and is_alive(identity) else None


class _Record(BaseModel):
    """The file: the newest token, and its holder until it lets go of the lease."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: int = 0
    holder: Holder | None = None


class Lease:
    """The right to carry out one run, held until it is released or this process dies."""

    def __init__(self, folder: Path, lock: FileLock, holder: Holder) -> None:
        self.folder = folder
        self.holder = holder
        self._lock = lock

    @classmethod
    async def acquire(cls, folder: Path) -> "Lease":
        """Take the lease of the run with this folder, which is made when missing.

        Raises:
            RunBusyError: somebody else holds it; the message says who.
        """
        lock = FileLock(_lock_file(make_folder(folder)))
        with anyio.move_on_after(PATIENCE_SECONDS):
            while not lock.try_acquire():  # noqa: ASYNC110  the holder may be another process
                await anyio.sleep(POLL_SECONDS)
        if not lock.is_held:
            raise RunBusyError(
                f"run {folder.name} is being carried out by {_read(folder).holder or 'another process'}: wait for it, "
                "or stop it with `graftline abort`"
            )
        try:
            process = this_process()
            holder = Holder(
                token=_read(folder).token + 1,
                pid=process.pid,
                started=process.started,
                host=socket.gethostname(),
                since=datetime.now(UTC),
            )
            _write(folder, _Record(token=holder.token, holder=holder))
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
        if newest.token != self.holder.token:
            raise LeaseLostError(
                f"run {self.folder.name} was taken over by {newest.holder or 'another process'}: this process leaves it"
            )

    def release(self) -> None:
        """Let go of the run, which is then nobody's; once is enough."""
        if self._lock.is_held:
            if _read(self.folder).token == self.holder.token:
                _write(self.folder, _Record(token=self.holder.token))
            self._lock.release()


def holder_of(folder: Path) -> Holder | None:
    """Who carries out the run with this folder now; None when nobody does."""
    held, holder = _look(folder)
    return holder if held else None


def dead_holder_of(folder: Path) -> Holder | None:
    """Who was carrying out the run and died without letting go of it; None when nobody has."""
    held, holder = _look(folder)
    return None if held else holder


def _look(folder: Path) -> tuple[bool, Holder | None]:
    """Whether the lease is held, and who wrote down that it holds it."""
    holder = _read(folder).holder
    lock = FileLock(_lock_file(folder))
    if holder is None or not lock.try_acquire(shared=True):
        return holder is not None, holder
    try:
        return False, _read(folder).holder  # once more: it may have been let go of between the two looks
    finally:
        lock.release()


def _lock_file(folder: Path) -> Path:
    return folder / "lease.lock"


def _read(folder: Path) -> _Record:
    try:
        return _Record.model_validate_json((folder / "lease.json").read_bytes())
    except (FileNotFoundError, ValidationError):  # before the first holder, or cut by a power failure
        return _Record()


def _write(folder: Path, record: _Record) -> None:
    write_file(folder / "lease.json", record.model_dump_json().encode())
