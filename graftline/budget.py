"""The budget: how much of a run's cap one call may take. Policy only; `graftline.ledger` keeps the books."""

from graftline.ledger import TOLERANCE_USD, Account

# Below this an agent cannot even read its prompt: a call would cost something and bring nothing.
MINIMUM_CALL_USD = 0.01


def reservation_usd(*, cap_usd: float, account: Account, call_cost_usd: float | None, concurrent: int) -> float | None:
    """What the next call reserves, or None when it may not start under this cap.

    A call whose price is known reserves its price; a free one always fits. Any other takes a fair share of what is
    left, `concurrent` being how many calls may start beside those that run already, this one included. None is final
    only when no call is running: a running one that costs less than its reservation gives the rest back.

    How far a run can exceed its cap: a CLI that enforces a money limit gets the reservation as that limit and looks at
    it after each turn, so each running agent can exceed its own by one turn. One that cannot enforce it is bounded by
    nothing but its time limit, and its cost counts in full before the next call starts.
    """
    left_usd = cap_usd - account.estimated_usd
    if call_cost_usd is not None:
        return call_cost_usd if call_cost_usd == 0 or call_cost_usd <= left_usd + TOLERANCE_USD else None
    if left_usd < MINIMUM_CALL_USD - TOLERANCE_USD:
        return None
    return max(left_usd / max(1, concurrent), min(left_usd, MINIMUM_CALL_USD))
