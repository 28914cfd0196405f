"""How much of the cap one call may take."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.outcome import OutcomeKind, Usage
from graftline.budget import MINIMUM_CALL_USD, reservation_usd
from graftline.ledger import Account, Call, Role

START = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING = Call(
    id=1,
    run_id="r",
    role=Role.TASK,
    task="t",
    attempt=1,
    backend="b",
    version="",
    model="",
    usage=Usage(),
    reserved_usd=0,
    seconds=None,
    outcome=None,
    started_at=START,
    ended_at=None,
)


def account(*, spent_usd: float = 0, reserved_usd: float = 0, unknown_usd: float = 0) -> Account:
    over = replace(RUNNING, ended_at=START, outcome=OutcomeKind.OK)
    return Account(
        (
            replace(RUNNING, reserved_usd=reserved_usd),
            replace(over, reserved_usd=9, usage=Usage(cost_usd=spent_usd)),
            replace(over, reserved_usd=unknown_usd),
        )
    )


@pytest.mark.parametrize(
    ("cap_usd", "books", "call_cost_usd", "concurrent", "expected"),
    [
        (5, Account(), None, 4, 1.25),
        (5, account(reserved_usd=1.25), None, 3, 1.25),
        (5, account(spent_usd=1, reserved_usd=2, unknown_usd=1), None, 2, 0.5),
        (5, Account(), None, 0, 5),
        (5, account(spent_usd=5), None, 1, None),
        (5, account(unknown_usd=4.995), None, 1, None),
        (5, account(spent_usd=6), None, 1, None),
        (0.03, Account(), None, 8, MINIMUM_CALL_USD),
        (0, Account(), None, 1, None),
        (5, Account(), 0.3, 4, 0.3),
        (0.3, account(spent_usd=0.1, reserved_usd=0.1), 0.1, 4, 0.1),
        (0.3, account(spent_usd=0.2), 0.11, 1, None),
        (0.005, Account(), 0.005, 1, 0.005),
        (0, Account(), 0.01, 1, None),
        (0, Account(), 0, 1, 0),
        (5, account(spent_usd=6), 0, 1, 0),
    ],
)
def test_reservation_is_the_price_or_a_fair_share_of_what_is_left(
    cap_usd: float, books: Account, call_cost_usd: float | None, concurrent: int, expected: float | None
) -> None:
    reserved_usd = reservation_usd(cap_usd=cap_usd, account=books, call_cost_usd=call_cost_usd, concurrent=concurrent)
    assert reserved_usd == (None if expected is None else pytest.approx(expected))


@given(
    cap_usd=st.floats(0, 100),
    spent_usd=st.floats(0, 100),
    reserved_usd=st.floats(0, 100),
    call_cost_usd=st.none() | st.floats(0, 10),
    concurrent=st.integers(0, 64),
)
def test_what_is_reserved_always_fits_under_the_cap(
    cap_usd: float, spent_usd: float, reserved_usd: float, call_cost_usd: float | None, concurrent: int
) -> None:
    books = account(spent_usd=spent_usd, reserved_usd=reserved_usd)
    amount_usd = reservation_usd(cap_usd=cap_usd, account=books, call_cost_usd=call_cost_usd, concurrent=concurrent)
    assert not amount_usd or books.estimated_usd + amount_usd <= cap_usd + 1e-9
