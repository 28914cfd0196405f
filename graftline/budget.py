"""The budget: which caps hold, and how much of them a call asks for. Policy; `graftline.ledger` keeps the books."""

from collections.abc import Sequence
from typing import Protocol

from graftline.agents.backend import AgentBackend, Capabilities
from graftline.agents.profiles import CliProfile
from graftline.caps import Cap, Room, Scope
from graftline.ledger import NextCall
from graftline.prices import find_price
from graftline.settings import CostSettings, Settings

# Below this an agent cannot even read its prompt: a call would cost something and bring nothing.
MINIMUM_CALL_USD = 0.01


class Payee(Protocol):
    """Whoever a call is paid to, an agent or a provider: what decides how much to set aside for it."""

    @property
    def call_cost_usd(self) -> float | None:
        """What one call costs when that is known beforehand."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """Whether it keeps to a money limit, among the rest that it can do."""
        ...


def caps_on(call: NextCall, cost: CostSettings) -> tuple[Cap, ...]:
    """The caps that a call counts under; a planner's call is no task's, and a script's run no deployment's."""
    limits = {
        Scope.TASK: cost.task_usd if call.task else None,
        Scope.RUN: cost.max_usd,
        Scope.DAY: cost.day_usd,
        Scope.DEPLOYMENT: cost.deployment_usd if call.deployment else None,
    }
    return tuple(Cap(scope, limit_usd) for scope, limit_usd in limits.items() if limit_usd is not None)


def asked_usd(rooms: Sequence[Room], payee: Payee, *, unknown_call_usd: float, concurrent: int) -> float:
    """What one call asks for, going by what each cap leaves.

    A call whose price is known asks for its price. An agent that keeps to a money limit asks for the smallest share
    that a cap has for it, and gets it as its limit. Any other asks for `unknown_call_usd`, and counts as that for good
    when its cost stays unknown.

    How far a cap can be exceeded: an agent looks at its limit after each turn, so each running one can exceed its own
    by one turn. One that keeps to no limit is bounded by nothing but its time limit, and its cost counts in full before
    the next call starts.
    """
    if payee.call_cost_usd is not None:
        return payee.call_cost_usd
    if not payee.capabilities.enforces_budget:
        return unknown_call_usd
    return max(MINIMUM_CALL_USD, share_usd(tightest(rooms, concurrent=concurrent), concurrent=concurrent))


def share_usd(room: Room, *, concurrent: int) -> float:
    """The part of what a cap leaves that one of `concurrent` calls may take; the calls of one task never overlap."""
    return room.left_usd if room.cap.scope is Scope.TASK else room.left_usd / concurrent


def tightest(rooms: Sequence[Room], *, concurrent: int) -> Room:
    """The cap with the smallest share for a call."""
    return min(rooms, key=lambda room: share_usd(room, concurrent=concurrent))


def model_asked_for(settings: Settings, profile: str) -> str:
    """The model that a profile, or a bare type, asks for; empty when its CLI chooses."""
    known = settings.agents.get(profile)
    if known is not None:
        return known.model if isinstance(known, CliProfile) else ""
    return settings.agent.model if profile == settings.agent.backend else ""


def tells_its_cost(settings: Settings, profile: str, backend: AgentBackend) -> bool:
    """Whether the cost of its calls will be known, as far as can be said beforehand.

    A CLI that chooses its model may yet choose one that has a price.
    """
    if backend.call_cost_usd is not None or backend.capabilities.reports_cost:
        return True
    model = model_asked_for(settings, profile)
    if not model:
        return backend.capabilities.converses and bool(settings.prices)
    return find_price(model, settings.prices) is not None
