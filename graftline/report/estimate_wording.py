"""The words for what was expected of a run, before it and after it."""

from graftline.planning.interval import Interval
from graftline.report.model import Coverage, EstimateReport, Report
from graftline.report.wording import duration, money


def cost_between(cost_usd: Interval | None) -> str:
    """An interval of dollars."""
    if cost_usd is None:
        return "unknown"
    low, high = money(cost_usd.low), money(cost_usd.high)
    return low if low == high else f"{low} to {high}"


def time_between(seconds: Interval) -> str:
    """An interval of time, in units that do not claim to be exact."""
    (low, low_unit), (high, high_unit) = _rough(seconds.low), _rough(seconds.high)
    if low_unit != high_unit:
        return f"{low} {low_unit} to {high} {high_unit}"
    return f"{low} {low_unit}" if low == high else f"{low} to {high} {high_unit}"


def _rough(seconds: float) -> tuple[str, str]:
    if seconds < 100:
        return f"{seconds:.0f}", "s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f}", "min"
    return f"{seconds / 3600:.0f}", "h"


def estimate_line(report: Report) -> str | None:
    """What the run was expected to come to, whether it did, and how often that was so; None when nobody knows."""
    estimate = report.estimate
    if estimate is None:
        return None
    cost = f"{cost_between(estimate.cost_usd)}{_verdict(estimate.cost_held, money(report.cost_usd))}"
    time = f"{time_between(estimate.seconds)}{_verdict(estimate.seconds_held, duration(estimate.seconds_taken))}"
    return "; ".join(filter(None, [cost, time, f"going by {estimate.basis}", _record(estimate)]))


def _verdict(held: bool | None, came: str) -> str:
    return "" if held is None else f" ({came}: {'held' if held else 'did not hold'})"


def _record(estimate: EstimateReport) -> str:
    """How often such intervals have held in this repository; nothing while none has been put to the test."""
    if not estimate.run_seconds.of:
        return ""
    costs = f", of cost in {_of(estimate.run_costs)}" if estimate.run_costs.of else ""
    times = f"of time in {_of(estimate.run_seconds)}"
    return f"{estimate.confidence:.0%} intervals held here {times}{costs}"


def _of(coverage: Coverage) -> str:
    return f"{coverage.held} of {coverage.of} run{'' if coverage.of == 1 else 's'}"
