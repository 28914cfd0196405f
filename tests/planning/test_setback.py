"""What a planner is told of a failed task, and how far a patch has come, as the run's records say."""

from datetime import UTC, datetime

from graftline.agents.outcome import OutcomeKind
from graftline.journal import Entry, EventKind
from graftline.patch import PlanPatch
from graftline.planning.patches import MadePatch, RecordedPatch, open_patch, read_patches, write_patch
from graftline.planning.setback import (
    DETAIL_CHARACTERS,
    MOST_FILES,
    Setback,
    failed_before_suspension,
    setback_of,
)
from graftline.records import AttemptState, write_record
from graftline.run import close_run
from tests.pipeline import Project, task
from tests.test_records import record

SUSPENDED, PREPARED, ENDED = EventKind.RUN_SUSPENDED, EventKind.RUN_PREPARED, EventKind.RUN_ENDED


def failed(*events: EventKind | str) -> frozenset[str]:
    """What is still failed after these events; a name stands for the end of a task that failed for good."""
    now = datetime.now(UTC)
    return failed_before_suspension(
        Entry(at=now, event=event)
        if isinstance(event, EventKind)
        else Entry(at=now, event=EventKind.TASK_FAILED, task=event)
        for event in events
    )


async def test_a_setback_is_bounded_and_names_no_place_of_this_machine(offline_project: Project) -> None:
    run = await offline_project.open([task("done"), task("a", "done"), task("left", "a")], {})
    try:
        place = run.folder.worktrees / "a-1"
        said = f"{place}/calc/a.py:3: error\n{run.folder.path}/agent.log\n{offline_project.path}/x\x1b[31m"
        many = tuple(f"calc/{number}.py" for number in range(MOST_FILES + 2))
        ends = {"state": AttemptState.FAILED, "commit": None, "outcome": OutcomeKind.FAILED}
        for number in range(1, 5):
            words = {"detail": "x" * 9 * DETAIL_CHARACTERS, "last_message": said, "paths": many}
            write_record(run.folder.attempt("a", number), one := record(number=number, **ends, **words))
        run.given_up["a"] = one
        setback = setback_of(run, "a", {"done": record(task="done")})
    finally:
        close_run(run)

    assert [attempt.number for attempt in setback.attempts] == [2, 3, 4]
    last = setback.attempts[-1]
    assert last.last_message == "calc/a.py:3: error\n…/agent.log\n…/x"
    assert len(last.detail) == DETAIL_CHARACTERS
    assert last.changed[-2:] == (f"calc/{MOST_FILES - 1}.py", "and 2 more")
    assert setback.standings(["done", "a", "left"]) == ["done: finished", "a: failed", "left: not begun"]
    assert Setback.model_validate_json(setback.model_dump_json()) == setback


def test_what_failed_before_a_suspension_stays_failed_and_any_other_end_is_a_new_chance() -> None:
    assert failed(PREPARED, "a") == {"a"}
    assert failed(PREPARED, "a", SUSPENDED, PREPARED) == {"a"}
    assert failed(PREPARED, "a", SUSPENDED, PREPARED, SUSPENDED, PREPARED) == {"a"}
    assert failed(PREPARED, "a", ENDED, PREPARED) == frozenset()
    assert failed(PREPARED, "a", SUSPENDED, PREPARED, "b", PREPARED) == frozenset()
    assert failed(PREPARED, "a", SUSPENDED, ENDED, PREPARED) == frozenset(), "aborted meanwhile, and resumed"


async def test_a_patch_is_open_until_the_run_goes_by_it_or_says_why_not(offline_project: Project) -> None:
    run = await offline_project.open([task("a"), task("b")], {})
    try:
        setback = Setback(task="a", attempts=(), finished=(), failed=("a",))
        asked = RecordedPatch(number=1, setback=setback, before=run.plan)
        assert open_patch(run.folder, []) is None
        write_patch(run.folder, asked)
        assert open_patch(run.folder, run.journal.entries()) == asked
        after = run.plan.model_copy(update={"tasks": (task("c"), run.plan.tasks[1])})
        patch = PlanPatch(reason="no", operations=())
        made = MadePatch(patch=patch, after=after, removed={"a": "replaced by c"}, expected_usd=0.5)
        write_patch(run.folder, asked := asked.model_copy(update={"made": made}))
        assert open_patch(run.folder, run.journal.entries()) == asked
        assert asked.brought == {"c"}
        run.journal.append(EventKind.PLAN_PATCHED, task="a", number=1, reason="no", changes=[], removed={})
        assert open_patch(run.folder, run.journal.entries()) is None
        other = RecordedPatch(number=2, setback=setback, before=after, why_not="no money")
        write_patch(run.folder, other)
        assert open_patch(run.folder, run.journal.entries()) is None
        assert read_patches(run.folder) == (asked, other)
    finally:
        close_run(run)
