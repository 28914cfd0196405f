"""How long a provider is left alone."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from graftline.gate import FORGOTTEN_AFTER, JITTER, Gate, close_gate
from graftline.settings import ProviderSettings

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
SETTINGS = ProviderSettings(first_wait_seconds=5, longest_wait_seconds=120)


def refused(gate: Gate | None, now: datetime, retry_at: datetime | None = None) -> Gate:
    return close_gate(gate, now=now, retry_at=retry_at, reason="overloaded", settings=SETTINGS)


def seconds(gate: Gate, now: datetime) -> float:
    return (gate.until - now).total_seconds()


def test_waits_grow_to_the_longest_and_a_storm_of_a_quarter_of_an_hour_is_a_dozen_of_them() -> None:
    now, gate, waits = NOON, None, []
    while now < NOON + timedelta(minutes=14):
        gate = refused(gate, now)
        waits.append(seconds(gate, now))
        now = gate.until
    assert all(5 * 2**n <= wait <= 5 * 2**n * (1 + JITTER) for n, wait in enumerate(waits[:5]))
    assert all(120 <= wait <= 120 * (1 + JITTER) for wait in waits[5:])
    assert 9 <= len(waits) <= 12


def test_agents_that_are_refused_together_close_the_gate_once() -> None:
    first = refused(None, NOON)
    assert refused(first, NOON + timedelta(seconds=1)) == first
    named = refused(first, NOON + timedelta(seconds=1), retry_at=NOON + timedelta(hours=1))
    assert (named.until, named.waits) == (NOON + timedelta(hours=1), 1)


def test_a_storm_that_is_long_over_is_forgotten() -> None:
    gate = Gate(until=NOON, waits=9)
    assert refused(gate, NOON + timedelta(seconds=1)).waits == 10
    assert refused(gate, NOON + FORGOTTEN_AFTER).waits == 1


@given(
    waits=st.integers(1, 10**6),
    since=st.integers(0, 600),
    named=st.none() | st.integers(-1000, 700_000),
)
def test_a_gate_is_closed_at_least_as_long_as_the_provider_said_and_not_much_longer(
    waits: int, since: int, named: int | None
) -> None:
    gate = Gate(until=NOON - timedelta(seconds=since), waits=waits)
    retry_at = None if named is None else NOON + timedelta(seconds=named)
    wait = seconds(refused(gate, NOON, retry_at), NOON)
    least = 120 if named is None and waits > 5 else max(0.0, named or 0.0)
    assert wait >= least
    assert wait <= max(120, named or 0) + JITTER * 120
