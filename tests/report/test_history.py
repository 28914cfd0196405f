"""What a journal tells of a run that was entered several times: merge, tests and landing are the last entry's."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from graftline.journal import Entry, EventKind
from graftline.report.assemble import read_history, task_state
from graftline.report.model import TaskState
from graftline.report.time_taken import worked_seconds

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
Told = tuple[int, EventKind, dict[str, JsonValue]]


def entries(*told: Told) -> Sequence[Entry]:
    """Entries at so many seconds; a `task` among the data is the entry's."""
    return [
        Entry(
            at=BEGUN + timedelta(seconds=at), event=event, task=str(data["task"]) if "task" in data else None, data=data
        )
        for at, event, data in told
    ]


def landing(kind: EventKind, commit: str) -> dict[str, JsonValue]:
    branch = None if kind is EventKind.LANDED else "graftline/x"
    return {"commit": commit, "branch": branch, "text": "", "command": ""}


FIRST: tuple[Told, ...] = (
    (0, EventKind.RUN_PREPARED, {}),
    (1, EventKind.ATTEMPT_STARTED, {"task": "a", "round": 0}),
    (2, EventKind.TASK_SUCCEEDED, {"task": "a"}),
    (3, EventKind.ATTEMPT_STARTED, {"task": "b", "round": 0}),
    (4, EventKind.TASK_FAILED, {"task": "b", "reason": "x"}),
    (5, EventKind.MERGE_DONE, {"of": "tasks", "merged": ["a"], "skipped": [], "conflicts": []}),
    (6, EventKind.VERIFY_ENDED, {"round": 1, "commit": "one", "passed": False}),
    (7, EventKind.HEAL_ENDED, {"task": "a", "round": 1, "commit": "first"}),
    (8, EventKind.HEAL_DROPPED, {"round": 1}),
    (9, EventKind.LANDED, landing(EventKind.LANDED, "one")),
    (10, EventKind.RUN_ENDED, {"state": "partial", "reason": "b did not make it"}),
)


def test_what_is_done_anew_is_forgotten_and_what_is_done_is_not() -> None:
    history = read_history(entries(*FIRST, (100, EventKind.RUN_PREPARED, {})))

    assert (history.ended, history.integration, history.verification, history.landing) == (None, None, None, None)
    assert (set(history.task_ends), history.started) == ({"a"}, {"a"}), "who failed waits for its turn again"
    assert history.landed is not None
    assert history.landed.data["commit"] == "one", "the target was moved, whatever comes of the rest"


def test_a_patched_plan_gives_what_was_skipped_its_turn_and_says_why_a_task_is_gone() -> None:
    skipped: Told = (5, EventKind.TASK_SKIPPED, {"task": "c", "reason": "b did not finish"})
    patched: Told = (6, EventKind.PLAN_PATCHED, {"task": "b", "number": 1, "removed": {"b": "replaced by d and e"}})
    history = read_history(entries(*FIRST[:5], skipped, patched))

    assert (set(history.task_ends), history.removed) == ({"a", "b"}, {"b": "replaced by d and e"})
    assert task_state("b", [], history, is_over=True) == (TaskState.CANCELLED, "replaced by d and e")
    assert task_state("c", [], history, is_over=False) == (TaskState.NOT_RUN, "waiting")


def test_a_round_that_was_dropped_once_is_not_dropped_for_good() -> None:
    again: tuple[Told, ...] = (
        (100, EventKind.RUN_PREPARED, {}),
        (101, EventKind.HEAL_ENDED, {"task": "a", "round": 1, "commit": "second"}),
        (102, EventKind.VERIFY_ENDED, {"round": 1, "commit": "two", "passed": True}),
        (103, EventKind.LEFT_ON_BRANCH, landing(EventKind.LEFT_ON_BRANCH, "two")),
    )
    history = read_history(entries(*FIRST, *again))

    assert history.verification is not None
    assert history.verification.data["commit"] == "two"
    assert [heal.data["commit"] for heal in history.heals] == ["second"], "one call, made again"
    assert history.landing is not None
    assert history.landing.event is EventKind.LEFT_ON_BRANCH


def test_only_the_time_in_which_somebody_carried_the_run_out_counts() -> None:
    dead: tuple[Told, ...] = (
        (100, EventKind.RUN_PREPARED, {}),
        (103, EventKind.WARNING, {"text": "the last thing it said"}),
        (9000, EventKind.WARNING, {"text": "process 1 was killed or died", "found_dead": True}),
        (9000, EventKind.RUN_ENDED, {"state": "crashed", "reason": "x"}),
        (9100, EventKind.RUN_PREPARED, {}),
        (9105, EventKind.RUN_ENDED, {"state": "landed", "reason": "x"}),
    )
    assert worked_seconds(entries(*FIRST, *dead)) == 10 + 3 + 5
    assert worked_seconds([]) == 0
