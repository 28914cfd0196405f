"""Paying for a call: money is reserved before it starts, and the books are settled however it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic

from graftline.agents.backend import AgentBackend
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.budget import asked_usd, caps_on, model_asked_for, tightest
from graftline.caps import Reservation, Room, Scope, Shortage
from graftline.journal import EventKind
from graftline.ledger import TOLERANCE_USD, Account, CostSource, NextCall, Role
from graftline.prices import cost_of, find_price
from graftline.report.wording import money
from graftline.run import BUDGET_REACHED, Run
from graftline.settings import Settings


@dataclass
class Payment:
    """A call that money is reserved for; `outcome` is an interruption until its own is known."""

    limit_usd: float
    outcome: AgentOutcome


@asynccontextmanager
async def paid(run: Run, call: NextCall, backend: AgentBackend) -> AsyncIterator[Payment | Shortage]:
    """A ledger row around a call, settled however the call ends; without room under the caps there is to be no call.

    Where running calls of the run may give back enough, they are waited for. Once a cap that tasks share has no room
    for a call, nothing new starts in the run.
    """
    held = await _reserve(run, call, backend)
    if isinstance(held, Shortage):
        _record_cap(run, call, held.room, asked_usd=held.asked_usd, called=False)
        if held.room.cap.scope is not Scope.TASK:
            run.stop_reason = run.stop_reason or BUDGET_REACHED
        yield held
        return
    started = monotonic()
    payment = Payment(held.amount_usd, AgentOutcome(kind=OutcomeKind.INTERRUPTED, backend=backend.type))
    try:
        yield payment
    finally:
        outcome = payment.outcome
        _complete(run, held.call, call, outcome, monotonic() - started)
        run.call_ended.set()
        run.call_ended = asyncio.Event()
        _warn_once(run)
        if outcome.kind is OutcomeKind.BUDGET:
            room = tightest(held.rooms, concurrent=_concurrent(run))
            _record_cap(run, call, room, asked_usd=held.amount_usd, called=True)


def settle(run: Run, role: Role, task: str, attempt: int, outcome: AgentOutcome) -> Account:
    """The account of an attempt that is over; what a dead process left open of it ends as its outcome says."""
    for call in run.ledger.account(run.id).of(role, task, attempt).calls:
        if call.is_open:
            _complete(run, call.id, call, outcome, (datetime.now(UTC) - call.started_at).total_seconds())
    return run.ledger.account(run.id).of(role, task, attempt)


def _complete(run: Run, row: int, call: NextCall, outcome: AgentOutcome, seconds: float) -> None:
    usage, source = _priced(run.settings, call, outcome)
    run.ledger.complete(
        row,
        usage,
        outcome=outcome.kind,
        version=outcome.version,
        model=outcome.model or model_asked_for(run.settings, call.profile),
        seconds=outcome.seconds or seconds,
        cost_source=source,
    )


async def _reserve(run: Run, call: NextCall, backend: AgentBackend) -> Reservation | Shortage:
    """Reserve money for a call, if need be once running ones have given back what they did not use."""
    cost = run.settings.cost
    caps = caps_on(call, cost)

    def ask(rooms: tuple[Room, ...]) -> float:
        return asked_usd(rooms, backend, unknown_call_usd=cost.unknown_call_usd, concurrent=_concurrent(run))

    while True:
        call_ended = run.call_ended  # of those that run while the ledger is looked at
        held = run.ledger.reserve(call, caps, ask)
        if isinstance(held, Reservation) or not held.room.held_usd:
            return held
        if held.asked_usd > held.room.left_usd + held.room.held_usd + TOLERANCE_USD:
            return held  # not even if they had cost nothing
        await call_ended.wait()


def _concurrent(run: Run) -> int:
    """How many calls of a run may share what is left."""
    return max(1, min(run.settings.agent.max_concurrent, len(run.pinned.tasks)))


def _priced(settings: Settings, call: NextCall, outcome: AgentOutcome) -> tuple[Usage, CostSource]:
    """What a call used, with its cost: as its agent says, else by its tokens and the price of its model."""
    usage = outcome.usage
    price = find_price(outcome.model or model_asked_for(settings, call.profile), settings.prices)
    if usage.cost_usd is not None or price is None:
        return usage, CostSource.REPORTED
    return replace(usage, cost_usd=cost_of(usage, price)), CostSource.PRICED


def _record_cap(run: Run, call: NextCall, room: Room, *, asked_usd: float, called: bool) -> None:
    run.journal.append(
        EventKind.CAP_REACHED,
        task=call.task,
        cap=room.cap.scope,
        limit_usd=room.cap.limit_usd,
        counted_usd=room.counted_usd,
        asked_usd=asked_usd,
        called=called,
    )


def _warn_once(run: Run) -> None:
    """Say so the first time that `warn_usd` is spent, a call of unknown cost counting at its reservation."""
    account = run.ledger.account(run.id)
    warn_usd, max_usd = run.settings.cost.warn_usd, run.settings.cost.max_usd
    if not 0 < account.spent_usd >= warn_usd or any(
        entry.event is EventKind.COST_WARNING and entry.data["warn_usd"] == warn_usd for entry in run.journal.entries()
    ):
        return
    run.journal.append(
        EventKind.COST_WARNING,
        text=f"{money(account.spent_usd)} of the cap of {money(max_usd)} is spent",
        spent_usd=account.spent_usd,
        unknown_calls=account.unknown_calls,
        warn_usd=warn_usd,
        max_usd=max_usd,
    )
