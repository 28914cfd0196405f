"""The start of a run: what it started with is what it goes on with, unless a person takes over what changed."""

import json
import os

import pytest

from graftline.changes import find_changes, read_today
from graftline.errors import LeaseLostError, RunBusyError, UserError
from graftline.journal import EventKind
from graftline.lease import Lease
from graftline.opening import enter_run, reopen_run, take_changes
from graftline.run import Run, close_run, live_run
from tests.conftest import run_git
from tests.pipeline import Project, task


async def enter(run: Run) -> Run:
    """The run entered once more, as a later process does it."""
    return await enter_run(run.pinned.request, run.id, os.environ)


async def test_a_run_entered_again_goes_on_with_what_was_pinned_and_says_what_changed(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {}, settings={"heal": {"max_rounds": 1}})
    assert live_run(run.id) is run
    close_run(run)
    offline_project.configure({}, {}, {"heal": {"max_rounds": 7}})
    (offline_project.path / "new.txt").write_text("later\n")
    run_git(offline_project.path, "add", "-A")
    run_git(offline_project.path, "commit", "-qm", "later")
    again = await enter(run)

    assert again is not run
    assert again.pinned == run.pinned
    assert again.settings.heal.max_rounds == 1
    assert again.base == run.base != run_git(offline_project.path, "rev-parse", "HEAD")
    assert live_run(run.id) is again
    said = [str(entry.data["text"]) for entry in again.journal.entries() if entry.event is EventKind.WARNING]
    assert "changed since the run began, and not taken over: heal.max_rounds was 1 and is 7; " in said[-1]
    close_run(again)


async def test_what_changed_is_taken_over_when_a_person_asks_for_it(offline_project: Project) -> None:
    plan = offline_project.signals / "plan.yaml"
    tasks: list[dict[str, object]] = [{"id": "a", "prompt": "x"}, {"id": "b", "prompt": "y"}]
    plan.write_text(json.dumps({"version": "1", "title": "First", "tasks": tasks}))
    run = await offline_project.open(None, {}, plan_file=str(plan))
    close_run(run)
    tasks = [{"id": "b", "prompt": "z", "depends_on": ["c"]}, {"id": "c", "prompt": "new"}]
    plan.write_text(json.dumps({"version": "1", "title": "Second", "tasks": tasks}))
    offline_project.configure({}, {}, {"cost": {"max_usd": 20.0}})

    again = await reopen_run(run.folder, os.environ)
    today = read_today(again.pinned, again.repository, os.environ)
    assert find_changes(again.pinned, today) == (
        "cost.max_usd was 5.0 and is 20.0",
        "the plan's title is another",
        "task a is gone",
        "task b has another prompt, depends_on",
        "task c is new",
    )
    take_changes(again, today)
    close_run(again)

    taken = await enter(run)
    assert (taken.graph.order, taken.settings.cost.max_usd) == (("c", "b"), 20.0)
    assert (taken.base, taken.pinned.name) == (run.base, run.pinned.name), "what is finished was made from it"
    assert find_changes(taken.pinned, today) == ()
    close_run(taken)


async def test_a_plan_file_that_is_gone_stops_nobody(offline_project: Project) -> None:
    plan = offline_project.signals / "plan.yaml"
    plan.write_text(json.dumps({"version": "1", "tasks": [{"id": "a", "prompt": "x"}]}))
    run = await offline_project.open(None, {}, plan_file=str(plan))
    close_run(run)
    plan.unlink()

    again = await enter(run)
    (change,) = find_changes(again.pinned, read_today(again.pinned, again.repository, os.environ))
    assert change.startswith("the plan cannot be read: ")
    assert again.plan == run.plan
    close_run(again)


async def test_a_run_that_is_carried_out_is_not_entered_by_another(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {})
    with pytest.raises(RunBusyError, match=f"is being carried out by process {os.getpid()} on "):
        await enter(run)
    with pytest.raises(RunBusyError):
        await reopen_run(run.folder, os.environ)
    assert live_run(run.id) is run
    close_run(run)


async def test_who_was_taken_for_dead_writes_no_journal(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {})
    (run.folder.path / "lease.lock").unlink()
    lease = await Lease.acquire(run.folder.path)
    before = run.folder.journal.read_bytes()

    with pytest.raises(LeaseLostError):
        run.journal.append(EventKind.TASK_SUCCEEDED, task="a")
    assert run.folder.journal.read_bytes() == before
    lease.release()
    close_run(run)


async def test_no_secret_is_pinned_and_todays_is_used(offline_project: Project) -> None:
    profile = {"type": "claude-code", "binary": "sh", "api_key": "sk-first"}
    run = await offline_project.open([task("a")], {}, settings={"agents.real": profile})
    text = run.folder.pinned.read_text()
    assert "sk-first" not in text
    assert json.loads(text)["settings"]["agents"]["real"]["binary"] == "sh"
    close_run(run)
    offline_project.configure({}, {}, {"agents.real": {**profile, "api_key": "sk-second", "binary": "other"}})
    entered = await enter(run)
    again = entered.settings.agents["real"]

    assert again.type == "claude-code"
    assert (again.binary, again.api_key.get_secret_value() if again.api_key else "") == ("sh", "sk-second")
    assert "sk-" not in entered.folder.journal.read_text()
    close_run(entered)


async def test_a_damaged_start_is_said_with_its_file(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {})
    close_run(run)
    run.folder.pinned.write_text("{")
    with pytest.raises(UserError, match=r"run\.json: cannot be read as the start of a run"):
        await enter(run)


async def test_extra_attempts_of_a_run_are_counted(offline_project: Project) -> None:
    run = await offline_project.open(
        [task("a"), task("b", max_retries=0)], {}, settings={"retries": {"max_per_run": 2}}
    )
    assert [run.claim_retry() for _ in range(3)] == [True, True, False]
    assert (run.max_retries(run.plan.task("a")), run.max_retries(run.plan.task("b"))) == (0, 0)
    close_run(run)
