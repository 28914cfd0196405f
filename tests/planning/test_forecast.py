"""What was foreseen for a plan is held against what the merge of its run says."""

from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from graftline.journal import Entry, EventKind
from graftline.planning.forecast import score_forecast

START = datetime(2026, 1, 1, tzinfo=UTC)
FORECAST: dict[str, JsonValue] = {
    "advice": {"shape": "workers", "workers": 3, "reason": "why not"},
    "conflicts": [
        {"first": first, "second": second, "probability": probability, "reason": "", "files": []}
        for first, second, probability in (("a", "b", 0.5), ("a", "c", 0.25), ("b", "lost", 0.25))
    ],
}


def entry(event: EventKind, data: dict[str, JsonValue], at: float = 0.0) -> Entry:
    return Entry(at=START + timedelta(seconds=at), event=event, data=data)


def settled(forecast: dict[str, JsonValue]) -> Entry:
    return entry(EventKind.PLAN_SETTLED, {"title": "t", "tasks": ["a", "b", "c", "lost"], "forecast": forecast})


def merged(*names: str, of: str = "tasks", conflicts: list[JsonValue] | None = None) -> Entry:
    return entry(EventKind.MERGE_DONE, {"of": of, "merged": list(names), "conflicts": conflicts or []})


def test_what_collided_is_named_with_what_was_said_of_it() -> None:
    """Of a pair with a task that was not merged nobody knows; what collides with the target is no pair of tasks."""
    entries = [
        settled(FORECAST),
        *(entry(EventKind.ATTEMPT_ENDED, {"seconds": seconds}, at) for at, seconds in ((10, 10), (20, 20), (70, 10))),
        merged("a", "c", conflicts=[{"task": "b", "with": ["c", "a"], "files": ["x"]}]),
        merged("b", of="heals"),
    ]
    score = score_forecast(entries)
    assert score is not None
    assert score.brier == (0.5**2 + 0.25**2) / 2
    assert str(score) == (
        "forecast: 0.8 collisions among 2 pairs of tasks, and 2 happened: b and c (not foreseen), a and b (50%); "
        "advised was 3 agents at a time, and 1.3 were at work on average"
    )


def test_a_forecast_that_held_is_said_too() -> None:
    score = score_forecast([settled(FORECAST), merged("a", "c")])
    assert str(score) == (
        "forecast: 0.2 collisions among 1 pair of tasks, and 0 happened; "
        "advised was 3 agents at a time, and 0.0 were at work on average"
    )


def test_there_is_no_score_without_a_forecast_or_a_merge() -> None:
    assert score_forecast([settled({"advice": "another version"}), merged("a")]) is None
    assert score_forecast([settled({}), merged("a")]) is None
    assert score_forecast([settled(FORECAST), merged("a", of="heals")]) is None
    only_the_target = merged("a", conflicts=[{"task": "b", "with": ["the target"], "files": ["x"]}])
    score = score_forecast([settled(FORECAST), only_the_target])
    assert score is not None
    assert score.collided == ()
    assert score_forecast([settled(FORECAST), merged("a")]) is None, "there is nothing that it could have collided with"
