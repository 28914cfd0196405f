"""A run's pinned facts: what it started with is what it goes on with."""

import json
import os

import pytest

from graftline.errors import UserError
from graftline.run import close_run, live_run, open_run
from graftline.settings import load_settings
from tests.conftest import run_git
from tests.pipeline import Project, task


async def test_a_run_entered_again_goes_on_with_what_was_pinned(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {}, settings={"heal": {"max_rounds": 1}})
    assert live_run(run.id) is run
    close_run(run)
    offline_project.configure({}, {}, {"heal": {"max_rounds": 7}})
    (offline_project.path / "new.txt").write_text("later\n")
    run_git(offline_project.path, "add", "-A")
    run_git(offline_project.path, "commit", "-qm", "later")
    current = load_settings(offline_project.path, environ=os.environ).settings
    again = await open_run(run.id, os.environ, current=current)

    assert again is not run
    assert again.pinned == run.pinned
    assert again.settings.heal.max_rounds == 1
    assert again.base == run.base != run_git(offline_project.path, "rev-parse", "HEAD")
    assert live_run(run.id) is again


async def test_no_secret_is_pinned_and_todays_is_used(offline_project: Project) -> None:
    profile = {"type": "claude-code", "binary": "sh", "api_key": "sk-first"}
    run = await offline_project.open([task("a")], {}, settings={"agents.real": profile})
    text = run.folder.pinned.read_text()
    assert "sk-first" not in text
    assert json.loads(text)["settings"]["agents"]["real"]["binary"] == "sh"
    close_run(run)
    offline_project.configure({}, {}, {"agents.real": {**profile, "api_key": "sk-second", "binary": "other"}})
    current = load_settings(offline_project.path, environ=os.environ).settings
    again = (await open_run(run.id, os.environ, current=current)).settings.agents["real"]

    assert again.type == "claude-code"
    assert (again.binary, again.api_key.get_secret_value() if again.api_key else "") == ("sh", "sk-second")


async def test_a_damaged_start_is_said_with_its_file(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {})
    close_run(run)
    run.folder.pinned.write_text("{")
    with pytest.raises(UserError, match=r"run\.json: cannot be read as the start of a run"):
        await open_run(run.id, os.environ, current=run.settings)


async def test_extra_attempts_of_a_run_are_counted(offline_project: Project) -> None:
    run = await offline_project.open(
        [task("a"), task("b", max_retries=0)], {}, settings={"retries": {"max_per_run": 2}}
    )
    assert [run.claim_retry() for _ in range(3)] == [True, True, False]
    assert (run.max_retries(run.plan.task("a")), run.max_retries(run.plan.task("b"))) == (0, 0)
