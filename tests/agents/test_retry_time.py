"""When a provider takes requests again, read from what CLIs print."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.retry_time import LONGEST, retry_time

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("Rate limit reached for requests. Please try again in 20s.", timedelta(seconds=20)),
        ("Try again in 1 day 2 hours 3 minutes", timedelta(days=1, hours=2, minutes=3)),
        ("Please retry in 33.4s.", timedelta(seconds=33.4)),
        ("your quota will reset after 2h3m4s", timedelta(hours=2, minutes=3, seconds=4)),
        ("Please try again in 250ms", timedelta(milliseconds=250)),
        ("429 Too Many Requests, retry-after: 30", timedelta(seconds=30)),
        ('{"error": 429, "Retry-After": "12"}', timedelta(seconds=12)),
        (f"Claude AI usage limit reached|{int(NOON.timestamp()) + 3600}", timedelta(hours=1)),
        ("Resets at 2026-11-26T15:00:00Z", timedelta(hours=3)),
        ("You've hit your session limit · resets 3:45pm (Europe/Berlin)", timedelta(hours=2, minutes=45)),
        ("Try again at 11 AM (UTC)", timedelta(hours=23)),
    ],
)
def test_time_that_a_provider_names_is_understood(text: str, after: timedelta) -> None:
    assert retry_time(text, NOON) == NOON + after


@pytest.mark.parametrize(
    "text",
    [
        "429 after 12 tests",
        "overloaded",
        "resets 25:99pm",
        "resets 3pm (Nowhere/Atall)",
        "try again in 400 days",
        "usage limit reached|1000000000",
        "Resets at 2026-99-99T15:00:00Z",
        "try again in 99999999999999999999 hours",
    ],
)
def test_no_time_and_none_that_can_be_is_none(text: str) -> None:
    assert retry_time(text, NOON) is None


@given(
    st.sampled_from(["try again in ", "resets at ", "retry-after: ", "resets ", "limit reached|", ""]),
    st.text(st.sampled_from("0123456789:-TZ. hmsdap()/ABC"), max_size=40),
)
def test_whatever_is_said_the_time_is_near(opening: str, rest: str) -> None:
    found = retry_time(opening + rest, NOON)
    assert found is None or NOON <= found <= NOON + LONGEST
