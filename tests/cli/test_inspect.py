"""`graftline logs --follow` goes from one agent of a task to the next, and ends with the run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from graftline.cli import inspect
from graftline.errors import UnknownRunError


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once."""
    monkeypatch.setattr(inspect, "POLL_SECONDS", 0)


def test_a_log_is_followed_to_its_last_line_and_then_its_successor_is(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text("one\ntw")
    second.write_text("three\nfour")

    def grow() -> Iterator[Path | None]:
        yield None  # no agent is there yet
        yield first
        yield first
        with first.open("a") as file:
            file.write("o\nlast words")
        while True:
            yield second

    logs = grow()
    running = iter([True, True, True, True, True])

    lines = list(inspect._follow(lambda: next(logs), lambda: next(running, False)))

    assert lines == ["one", "two", "last words", "three", "four"]


def test_a_run_that_ends_before_an_agent_was_started_has_nothing_to_follow() -> None:
    with pytest.raises(UnknownRunError, match="no agent was started"):
        list(inspect._follow(lambda: None, lambda: False))
