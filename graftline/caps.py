"""Caps: how much may be spent on what, and what they leave."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """Which calls a cap counts together.

    `task`: those for one task of a run, its heal calls included. `run`: those of one run. `day`: all calls of this
    machine that started since its last local midnight. `deployment`: those of all runs of one Prefect deployment that
    were carried out on this machine.
    """

    TASK = "task"
    RUN = "run"
    DAY = "day"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True)
class Cap:
    """The most that the calls of a scope may count together."""

    scope: Scope
    limit_usd: float


@dataclass(frozen=True)
class Room:
    """What a cap leaves for one more call.

    `counted_usd` is what its calls cost, with every unknown cost, of a running call or of one that is over, at its
    reservation. `held_usd` is the part of it that running calls of the same run hold in reserve, and may give back.
    """

    cap: Cap
    counted_usd: float
    held_usd: float

    @property
    def left_usd(self) -> float:
        """What the next call may reserve; less than nothing after an agent exceeded its part."""
        return self.cap.limit_usd - self.counted_usd


@dataclass(frozen=True)
class Reservation:
    """Money set aside for one call: its row in the ledger, the amount, and what each cap left before."""

    call: int
    amount_usd: float
    rooms: tuple[Room, ...]


@dataclass(frozen=True)
class Shortage:
    """No reservation: what a call asked for does not fit under this cap."""

    room: Room
    asked_usd: float
