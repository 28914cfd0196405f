"""Journal entries as lines for people: one sentence each, whatever agents and tests have put into them."""

from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from graftline.journal import Entry, EventKind
from graftline.report.sentences import describe

ANY: dict[str, JsonValue] = {
    "asked_usd": 0.5,
    "attempt": 1,
    "backend": "command",
    "branch": "b",
    "by": "planner",
    "called": False,
    "candidate": 1,
    "changes": ["adds task b"],
    "cap": "run",
    "command": "make",
    "commit": "c",
    "counted_usd": 0.8,
    "decision": "approve",
    "kept": ["refs/graftline/r/salvage/t/1"],
    "label": "candidate",
    "limit_usd": 1.0,
    "merged": ["a"],
    "name": "n",
    "number": 1,
    "run": "fix-login-111111",
    "outcome": "ok",
    "passed": True,
    "provider": "api.example.com",
    "until": "2026-01-02T03:04:05+00:00",
    "what": "agent",
    "pid": 1,
    "reason": "because",
    "ref": "r",
    "round": 1,
    "status": 0,
    "target": "main",
    "tasks": 5,
    "tests": None,
    "text": "text",
    "title": "title",
}


def line(
    event: EventKind, data: dict[str, JsonValue] | None = None, *, task: str | None = None, attempt: int | None = None
) -> str:
    return describe(Entry(at=datetime.now(UTC), event=event, task=task, attempt=attempt, data=ANY | (data or {})))


@pytest.mark.parametrize("event", EventKind)
def test_every_kind_of_entry_is_one_line_that_steers_no_terminal(event: EventKind) -> None:
    foreign: dict[str, JsonValue] = {
        name: f"one\n\x1b[2Jtwo {name}" for name in ("reason", "text", "outcome", "backend", "command", "label", "name")
    }

    said = line(event, foreign, task="t")

    assert said.isprintable()
    assert said.startswith("t: ")
    assert len(said) > len("t: ")


@pytest.mark.parametrize(
    ("event", "data", "said"),
    [
        (EventKind.ATTEMPT_ENDED, {"seconds": 75.2, "cost_usd": 0.5}, "t: agent ended: ok after 1 min 15 s, $0.50"),
        (EventKind.ATTEMPT_ENDED, {"seconds": 1.23, "cost_usd": 0.0012}, "t: agent ended: ok after 1.2 s, $0.0012"),
        (EventKind.ATTEMPT_ENDED, {"seconds": 1, "cost_usd": None}, "t: agent ended: ok after 1.0 s, cost unknown"),
        (
            EventKind.CAP_REACHED,
            {},
            "t: cap reached: the run's cap of $1.00 leaves $0.20, and the next call counts as $0.50",
        ),
        (
            EventKind.CAP_REACHED,
            {"called": True, "cap": "day"},
            "t: cap reached: the agent used up the $0.50 it was given of the day's cap of $1.00",
        ),
        (
            EventKind.VERIFY_ENDED,
            {"passed": False, "tests": {"passed": 2, "failed": 1}},
            "t: candidate: tests red: 2 passed, 1 failed; because",
        ),
        (
            EventKind.VERIFY_ENDED,
            {"passed": False, "tests": {"passed": None, "failed": None}},
            "t: candidate: tests red: because",
        ),
        (
            EventKind.VERIFY_ENDED,
            {"passed": True, "tests": {"passed": 2, "failed": 0}},
            "t: candidate: tests green: because",
        ),
        (EventKind.VERIFY_ENDED, {"passed": True, "tests": None}, "t: candidate: because"),
        (
            EventKind.MERGE_DONE,
            {"conflicts": [{"task": "b", "with": ["a"], "files": ["x.py", "y.py"]}]},
            "t: merged a into candidate 1; conflicts: b with a in x.py, y.py",
        ),
        (EventKind.MERGE_DONE, {"merged": []}, "t: merged nothing into candidate 1"),
    ],
)
def test_what_was_measured_is_said_and_what_was_not_is_left_out(
    event: EventKind, data: dict[str, JsonValue], said: str
) -> None:
    assert line(event, data, task="t") == said


def test_a_further_attempt_is_named() -> None:
    assert line(EventKind.TASK_SUCCEEDED, task="t", attempt=2) == "t (attempt 2): done"
    assert line(EventKind.TASK_SUCCEEDED, task="t", attempt=1) == "t: done"
    assert line(EventKind.WARNING) == "warning: text"
