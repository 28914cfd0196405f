"""The ledger: one row per paid call, in one SQLite file for all runs of this machine.

A row is written when its money is reserved, before the call starts, and completed when the call is over. So a call that
a crash cut off still has its row: it stays open, and counts at its reservation until somebody completes it.
"""

import fcntl
import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from enum import StrEnum
from pathlib import Path

from graftline.agents.outcome import OutcomeKind, Usage
from graftline.caps import Cap, Reservation, Room, Scope, Shortage
from graftline.errors import CannotRunError, GraftlineError
from graftline.ledger_schema import upgrade
from graftline.private_files import make_folder, writing
from graftline.text import whole_characters

BUSY_SECONDS = 30.0
# Sums of binary fractions miss the decimal sum by far less than this, and this is far less than any price.
TOLERANCE_USD = 1e-9
MOST = 1e9
"""No call costs so many dollars, or takes so many seconds: an agent that says so is mistaken, or lies."""


class Role(StrEnum):
    """What a call was paid for."""

    TASK = "task"
    HEAL = "heal"
    PLANNER = "planner"


class CostSource(StrEnum):
    """Where a call's cost comes from: its agent, or its profile, says it; or its tokens at the prices of `[prices]`."""

    REPORTED = "reported"
    PRICED = "priced"


@dataclass(frozen=True, kw_only=True)
class NextCall:
    """A call that is about to be made: what is known of it before it starts.

    A planner's call has no task. `profile` is the name its agent goes by in the settings; `deployment` is the id of
    the Prefect deployment that its run is of, empty for a script's.
    """

    run_id: str
    role: Role
    backend: str
    task: str | None = None
    attempt: int | None = None
    profile: str = ""
    tier: str = ""
    deployment: str = ""


@dataclass(frozen=True, kw_only=True)
class Call(NextCall):
    """One row: one call, running (`ended_at` is None) or over."""

    id: int
    version: str
    model: str
    usage: Usage
    cost_source: CostSource | None
    reserved_usd: float
    seconds: float | None
    outcome: OutcomeKind | None
    started_at: datetime
    ended_at: datetime | None

    @property
    def is_open(self) -> bool:
        """The call has not been completed: it runs, or whoever ran it is gone."""
        return self.ended_at is None

    @property
    def estimated_usd(self) -> float:
        """What the call counts for under the cap: its cost, or its reservation while the cost is unknown."""
        return self.reserved_usd if self.usage.cost_usd is None else self.usage.cost_usd


@dataclass(frozen=True)
class Account:
    """What some calls have cost: those of a run, or of an attempt."""

    calls: tuple[Call, ...] = ()

    @property
    def known_usd(self) -> float:
        """The sum of all known costs."""
        return math.fsum(call.usage.cost_usd for call in self.calls if call.usage.cost_usd is not None)

    @property
    def unknown_calls(self) -> int:
        """How many calls have no known cost, running ones included."""
        return sum(call.usage.cost_usd is None for call in self.calls)

    @property
    def cost_usd(self) -> float | None:
        """The cost of all calls, None when it is not known of every one."""
        return None if self.unknown_calls else self.known_usd

    @property
    def unknown_usd(self) -> float:
        """What the calls without a known cost count for under a cap, running ones included."""
        return math.fsum(call.reserved_usd for call in self.calls if call.usage.cost_usd is None)

    @property
    def spent_usd(self) -> float:
        """What the calls that are over count for under a cap: their costs, and unknown ones at their reservations."""
        return math.fsum(call.estimated_usd for call in self.calls if not call.is_open)

    def of(self, role: Role, task: str | None, attempt: int | None) -> "Account":
        """The calls of one attempt."""
        return Account(tuple(one for one in self.calls if (one.role, one.task, one.attempt) == (role, task, attempt)))


AmountAsked = Callable[[tuple[Room, ...]], float]
"""How much a call asks for, going by what each cap leaves."""


@dataclass(frozen=True)
class Ledger:
    """The open ledger. It keeps no connection, so threads and processes may share it."""

    path: Path

    @classmethod
    def open(cls, state_dir: Path) -> "Ledger":
        """Open the ledger of a state directory, making it when there is none; a newer schema is refused."""
        ledger = cls(make_folder(state_dir) / "ledger.db")
        with _alone(state_dir / "ledger.lock"):
            if not ledger.path.exists():
                with writing(ledger.path):  # SQLite would make it with the umask; -wal and -shm take after it
                    os.close(os.open(ledger.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with ledger._connection() as connection:
                upgrade(connection, ledger.path)
        return ledger

    def reserve(self, call: NextCall, caps: Sequence[Cap], ask: AmountAsked) -> Reservation | Shortage:
        """Reserve what a call asks for, or say under which cap it does not fit; there is at least one cap.

        Looking, asking and reserving is one transaction, so no two calls get the same money, also not in different
        processes. An amount of 0 always fits.
        """
        with self._connection() as connection, _transaction(connection):
            rooms = tuple(_room(connection, cap, call) for cap in caps)
            amount_usd = ask(rooms)
            if not (math.isfinite(amount_usd) and amount_usd >= 0):
                raise ValueError(f"cannot reserve {amount_usd} USD")
            fullest = min(rooms, key=lambda room: room.left_usd)
            if amount_usd > 0 and not amount_usd <= fullest.left_usd + TOLERANCE_USD:
                return Shortage(fullest, amount_usd)
            row = connection.execute(
                "INSERT INTO calls (run_id, role, task, attempt, backend, profile, tier, deployment, reserved_usd, "
                "started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    call.run_id,
                    Role(call.role).value,
                    call.task,
                    call.attempt,
                    call.backend,
                    call.profile,
                    call.tier,
                    call.deployment,
                    amount_usd,
                    datetime.now(UTC).isoformat(),
                ),
            ).fetchone()
            return Reservation(row["id"], amount_usd, rooms)

    def complete(
        self,
        call: int,
        usage: Usage,
        *,
        outcome: OutcomeKind,
        version: str = "",
        model: str = "",
        seconds: float = 0.0,
        cost_source: CostSource = CostSource.REPORTED,
    ) -> None:
        """Enter how a call ended; a call that was completed before keeps its first entry.

        A call that never started costs a known 0. What an agent reports that cannot be (a negative or boundless cost, a
        negative count) is entered as unknown.
        """
        cost_usd = _amount(usage.cost_usd)
        with self._connection() as connection, _transaction(connection):
            done = connection.execute(
                "UPDATE calls SET version = ?, model = ?, input_tokens = ?, output_tokens = ?, cached_tokens = ?, "
                "cost_usd = ?, cost_source = ?, seconds = ?, outcome = ?, ended_at = ? "
                "WHERE id = ? AND ended_at IS NULL",
                (
                    whole_characters(version),
                    whole_characters(model),
                    _count(usage.input_tokens),
                    _count(usage.output_tokens),
                    _count(usage.cached_tokens),
                    cost_usd,
                    None if cost_usd is None else CostSource(cost_source).value,
                    _amount(seconds),
                    OutcomeKind(outcome).value,
                    datetime.now(UTC).isoformat(),
                    call,
                ),
            )
            if not done.rowcount and not connection.execute("SELECT 1 FROM calls WHERE id = ?", (call,)).fetchone():
                raise GraftlineError(f"{self.path} has no call {call} to complete")

    def account(self, run_id: str) -> Account:
        """What a run has spent and reserved so far."""
        with self._connection() as connection:
            return _account(connection, run_id)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                connection.row_factory = sqlite3.Row
                # FULL: a paid call must not leave the books with the power, as NORMAL allows in WAL mode.
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise CannotRunError(
                f"cannot use the ledger {self.path}: {error}. Without it no call can be paid for: make room there or "
                "make it readable, or name another place with GRAFTLINE_STATE_DIR."
            ) from error


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock file: SQLite's own waiting does not cover the change to WAL mode.

    The lock is not the database itself, since closing a file drops all of the process's locks on it, SQLite's included.
    """
    with writing(lock):
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with writing(lock):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Take the write lock at once: a transaction that reads first can fail when it turns to writing.

    After an error nothing is committed, and closing the connection undoes what was done.
    """
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def local_midnight(now: datetime) -> datetime:
    """When the local calendar day of a moment began on this machine, in UTC; it may have been 23 or 25 hours long."""
    return datetime.combine(now.astimezone().date(), time()).astimezone(UTC)


_CALLS_IN = {
    Scope.TASK: "run_id = :run_id AND task = :task",
    Scope.RUN: "run_id = :run_id",
    Scope.DAY: "started_at >= :midnight",
    Scope.DEPLOYMENT: "deployment = :deployment",
}


def _room(connection: sqlite3.Connection, cap: Cap, call: NextCall) -> Room:
    columns = "coalesce(cost_usd, reserved_usd) AS counted_usd, ended_at IS NULL AND run_id = :run_id AS is_held"
    names = {
        "run_id": call.run_id,
        "task": call.task,
        "deployment": call.deployment,
        "midnight": local_midnight(datetime.now(UTC)).isoformat(),
    }
    query = f"SELECT {columns} FROM calls WHERE {_CALLS_IN[cap.scope]}"  # noqa: S608 - put together from constants
    rows = connection.execute(query, names).fetchall()
    return Room(
        cap,
        counted_usd=math.fsum(row["counted_usd"] for row in rows),
        held_usd=math.fsum(row["counted_usd"] for row in rows if row["is_held"]),
    )


def _account(connection: sqlite3.Connection, run_id: str) -> Account:
    rows = connection.execute("SELECT * FROM calls WHERE run_id = ? ORDER BY id", (run_id,))
    return Account(tuple(_call(row) for row in rows))


def _call(row: sqlite3.Row) -> Call:
    return Call(
        id=row["id"],
        run_id=row["run_id"],
        role=Role(row["role"]),
        backend=row["backend"],
        task=row["task"],
        attempt=row["attempt"],
        profile=row["profile"],
        tier=row["tier"],
        deployment=row["deployment"],
        version=row["version"],
        model=row["model"],
        usage=Usage(
            cost_usd=row["cost_usd"],
            input_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
            cached_tokens=row["cached_tokens"],
        ),
        cost_source=None if row["cost_source"] is None else CostSource(row["cost_source"]),
        reserved_usd=row["reserved_usd"],
        seconds=row["seconds"],
        outcome=None if row["outcome"] is None else OutcomeKind(row["outcome"]),
        started_at=datetime.fromisoformat(row["started_at"]),
        ended_at=None if row["ended_at"] is None else datetime.fromisoformat(row["ended_at"]),
    )


def _amount(value: float | None) -> float | None:
    return value if value is not None and 0 <= value < MOST else None


def _count(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < 2**63 else None
