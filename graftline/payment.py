"""Paying for a call: money is reserved before it starts, and the books are settled however it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.budget import Payee, asked_usd, caps_on, model_asked_for, tightest
from graftline.caps import Reservation, Room, Scope, Shortage
from graftline.clock import Clock
from graftline.journal import EventKind, Journal
from graftline.ledger import TOLERANCE_USD, Account, CostSource, Ledger, NextCall, Role
from graftline.prices import cost_of, find_price
from graftline.report.wording import money
from graftline.run import BUDGET_REACHED
from graftline.settings import Settings


class Payer(Protocol):
    """On whose account calls are made, which is a run's: what payments need to know of it.

    `stop_reason` is set when nothing new may start; `call_ended` is set, and another one put in its place, whenever a
    call has given back what it did not use.
    """

    stop_reason: str
    call_ended: asyncio.Event

    @property
    def id(self) -> str:
        """Whose calls these are in the ledger."""
        ...

    @property
    def deployment(self) -> str:
        """The id of the Prefect deployment behind it, if any."""
        ...

    @property
    def settings(self) -> Settings:
        """What says which caps hold, and what models cost."""
        ...

    @property
    def ledger(self) -> Ledger:
        """The books."""
        ...

    @property
    def journal(self) -> Journal:
        """Where caps that were reached are told."""
        ...

    @property
    def clock(self) -> Clock:
        """The time it may take, which stands still while a provider is waited for."""
        ...

    @property
    def concurrent_calls(self) -> int:
        """How many calls may share what is left."""
        ...


@dataclass
class Payment:
    """A call that money is reserved for: its row in the ledger; `outcome` is an interruption until its own is known."""

    call: int
    limit_usd: float
    outcome: AgentOutcome


@asynccontextmanager
async def paid(payer: Payer, call: NextCall, payee: Payee) -> AsyncIterator[Payment | Shortage]:
    """A ledger row around a call, settled however the call ends; without room under the caps there is to be no call.

    Where running calls of the payer may give back enough, they are waited for. Once a cap that tasks share has no room
    for a call, nothing new starts on that account.
    """
    held = await _reserve(payer, call, payee)
    if isinstance(held, Shortage):
        _record_cap(payer, call, held.room, asked_usd=held.asked_usd, called=False)
        if held.room.cap.scope is not Scope.TASK:
            payer.stop_reason = payer.stop_reason or BUDGET_REACHED
        yield held
        return
    started = monotonic()
    payment = Payment(held.call, held.amount_usd, AgentOutcome(kind=OutcomeKind.INTERRUPTED, backend=call.backend))
    try:
        yield payment
    finally:
        outcome = payment.outcome
        complete(payer, held.call, call, outcome, monotonic() - started)
        payer.call_ended.set()
        payer.call_ended = asyncio.Event()
        _warn_once(payer)
        if outcome.kind is OutcomeKind.BUDGET:
            room = tightest(held.rooms, concurrent=payer.concurrent_calls)
            _record_cap(payer, call, room, asked_usd=held.amount_usd, called=True)


def settle(payer: Payer, role: Role, task: str, attempt: int, outcome: AgentOutcome) -> Account:
    """The account of an attempt that is over; what a dead process left open of it ends as its outcome says."""
    for call in payer.ledger.account(payer.id).of(role, task, attempt).calls:
        if call.is_open:
            complete(payer, call.id, call, outcome, (datetime.now(UTC) - call.started_at).total_seconds())
    return payer.ledger.account(payer.id).of(role, task, attempt)


def complete(payer: Payer, row: int, call: NextCall, outcome: AgentOutcome, seconds: float) -> None:
    """Enter in the ledger how a call ended, with its cost as far as that is known."""
    usage, source = _priced(payer.settings, call, outcome)
    payer.ledger.complete(
        row,
        usage,
        outcome=outcome.kind,
        version=outcome.version,
        model=outcome.model or model_asked_for(payer.settings, call.profile),
        seconds=outcome.seconds or seconds,
        cost_source=source,
    )


async def _reserve(payer: Payer, call: NextCall, payee: Payee) -> Reservation | Shortage:
    """Reserve money for a call, if need be once running ones have given back what they did not use."""
    cost = payer.settings.cost
    caps = caps_on(call, cost)

    def ask(rooms: tuple[Room, ...]) -> float:
        return asked_usd(rooms, payee, unknown_call_usd=cost.unknown_call_usd, concurrent=payer.concurrent_calls)

    while True:
        call_ended = payer.call_ended  # of those that run while the ledger is looked at
        held = payer.ledger.reserve(call, caps, ask)
        if isinstance(held, Reservation) or not held.room.held_usd:
            return held
        if held.asked_usd > held.room.left_usd + held.room.held_usd + TOLERANCE_USD:
            return held  # not even if they had cost nothing
        await call_ended.wait()


def _priced(settings: Settings, call: NextCall, outcome: AgentOutcome) -> tuple[Usage, CostSource]:
    """What a call used, with its cost: as its agent says, else by its tokens and the price of its model."""
    usage = outcome.usage
    price = find_price(outcome.model or model_asked_for(settings, call.profile), settings.prices)
    if usage.cost_usd is not None or price is None:
        return usage, CostSource.REPORTED
    return replace(usage, cost_usd=cost_of(usage, price)), CostSource.PRICED


def _record_cap(payer: Payer, call: NextCall, room: Room, *, asked_usd: float, called: bool) -> None:
    payer.journal.append(
        EventKind.CAP_REACHED,
        task=call.task,
        cap=room.cap.scope,
        limit_usd=room.cap.limit_usd,
        counted_usd=room.counted_usd,
        asked_usd=asked_usd,
        called=called,
    )


def _warn_once(payer: Payer) -> None:
    """Say so the first time that `warn_usd` is spent, a call of unknown cost counting at its reservation."""
    account = payer.ledger.account(payer.id)
    warn_usd, max_usd = payer.settings.cost.warn_usd, payer.settings.cost.max_usd
    if not 0 < account.spent_usd >= warn_usd or any(
        entry.event is EventKind.COST_WARNING and entry.data["warn_usd"] == warn_usd
        for entry in payer.journal.entries()
    ):
        return
    payer.journal.append(
        EventKind.COST_WARNING,
        text=f"{money(account.spent_usd)} of the cap of {money(max_usd)} is spent",
        spent_usd=account.spent_usd,
        unknown_calls=account.unknown_calls,
        warn_usd=warn_usd,
        max_usd=max_usd,
    )
