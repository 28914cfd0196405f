"""The words for costs, times and foreign text."""

from collections.abc import Callable

import pytest

from graftline.report.model import Report, RunState
from graftline.report.wording import duration, money, resume_command

MakeReport = Callable[[str], Report]


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


def test_what_goes_on_with_a_run_that_its_cap_stopped_names_a_cap_that_is_enough(make_report: MakeReport) -> None:
    report = make_report("x").model_copy(update={"state": RunState.BUDGET_REACHED})
    assert resume_command(report) == "graftline resume fix-login-111111 --max-cost 2.00"
    spent = report.model_copy(update={"cost_known_usd": 7.777})
    assert resume_command(spent) == "graftline resume fix-login-111111 --max-cost 8.78", "0.50 unknown, 0.50 to come"
    (_run, task) = report.caps_reached
    only = report.model_copy(update={"caps_reached": (task,)})
    assert resume_command(only) == "graftline resume fix-login-111111"
