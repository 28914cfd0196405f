"""The words for costs, times and foreign text."""

import pytest

from graftline.report.wording import duration, money


@pytest.mark.parametrize(
    ("amount_usd", "expected"),
    [(None, "unknown"), (0.0, "$0.00"), (0.0042, "$0.0042"), (0.01, "$0.01"), (3.0, "$3.00"), (1234.5, "$1,234.50")],
)
def test_money_is_to_the_cent_and_unknown_is_not_zero(amount_usd: float | None, expected: str) -> None:
    assert money(amount_usd) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.04, "0.0 s"), (9.44, "9.4 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599.9, "1 h 0 min"), (7325, "2 h 2 min")],
)
def test_duration_is_in_the_units_that_matter(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
