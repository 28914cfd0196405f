"""Attempt records: what makes a task another task, and how finished work is found again."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from graftline.agents.outcome import OutcomeKind
from graftline.ledger import Role
from graftline.plan import TaskSpec
from graftline.records import (
    FREE_FIELDS,
    KEY_FIELDS,
    AttemptRecord,
    AttemptState,
    find_finished,
    read_record,
    task_key,
    task_records,
    write_record,
)
from tests.pipeline import Project, task, write

SPEC = TaskSpec(id="a", prompt="do it")
OTHER: dict[str, object] = {
    "id": "b",
    "prompt": "do it well",
    "title": "A title",
    "depends_on": ("z",),
    "after": ("y",),
    "writes": ("x.py",),
    "read_only": True,
    "agent": "other",
    "tier": "deep",
    "labels": ("docs",),
    "size": "large",
    "tests": ("tests/test_x.py",),
    "acceptance": {"tests/test_y.py": ""},
    "priority": 3,
    "timeout_seconds": 5.0,
    "max_retries": 4,
    "concurrency_group": "db",
    "env": {"A": "1"},
}


def record(**changes: object) -> AttemptRecord:
    fields: dict[str, object] = {
        "task": "a",
        "number": 1,
        "role": Role.TASK,
        "round": 0,
        "key": "key",
        "base": "b" * 40,
        "state": AttemptState.SUCCEEDED,
        "commit": "c" * 40,
        "outcome": OutcomeKind.OK,
        "detail": "",
        "last_message": "",
        "profile": "scripted",
        "tier": None,
        "backend": "command",
        "version": "",
        "model": "",
        "session_id": "",
        "cost_usd": None,
        "seconds": 1.0,
        "ended": datetime.now(UTC),
        "paths": (),
        "left_out": (),
        "notes": (),
        "salvage": None,
    }
    return AttemptRecord.model_validate(fields | changes)


def test_every_field_of_a_task_either_makes_it_another_task_or_does_not() -> None:
    # Whoever adds a field decides: does finished work stay valid when it changes?
    assert set(TaskSpec.model_fields) == KEY_FIELDS | FREE_FIELDS
    assert not KEY_FIELDS & FREE_FIELDS


@pytest.mark.parametrize("field", sorted(TaskSpec.model_fields))
def test_the_key_changes_with_what_makes_another_task_and_with_nothing_else(field: str) -> None:
    changed = SPEC.model_copy(update={field: OTHER[field]})
    assert (task_key(changed, "tree") != task_key(SPEC, "tree")) == (field in KEY_FIELDS)


def test_the_key_changes_with_the_tree_a_task_starts_from() -> None:
    assert task_key(SPEC, "tree") == task_key(SPEC.model_copy(), "tree") != task_key(SPEC, "another tree")


@pytest.mark.parametrize("damage", ["", "{", "null", '{"task": "a"}', '{"format": 2}'])
def test_a_damaged_record_is_no_record(tmp_path: Path, damage: str) -> None:
    write_record(tmp_path, record())
    assert read_record(tmp_path) is not None
    (tmp_path / "record.json").write_text(damage)
    assert read_record(tmp_path) is None


async def test_work_is_found_by_its_key_and_only_while_the_hub_holds_its_commit(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {"a": [write("a.txt")]})
    done = record(commit=run.base)
    failed = record(number=2, state=AttemptState.FAILED, commit=None)
    records = (done, failed)
    assert await find_finished(run.hub, records, "key", run.ref("task", "a")) is None, "the ref is not there yet"
    await run.hub.update_ref(run.ref("task", "a", 1), run.base)
    assert await find_finished(run.hub, records, "key", run.ref("task", "a")) == done
    assert await find_finished(run.hub, records, "another key", run.ref("task", "a")) is None
    assert await find_finished(run.hub, (failed,), "key", run.ref("task", "a")) is None


async def test_records_are_read_in_the_order_of_their_numbers(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {})
    for number in (10, 2, 1):
        folder = run.folder.attempt("a", number)
        folder.mkdir(parents=True)
        write_record(folder, record(number=number))
    assert [each.number for each in task_records(run.folder, "a")] == [1, 2, 10]
