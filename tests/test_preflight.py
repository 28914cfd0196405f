"""Checks before anything is spent: what is wrong is said at once, and nothing is written."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from graftline import preflight
from graftline.agents.backends import resolve_backend
from graftline.agents.profiles import AnyProfile, CommandProfile
from graftline.errors import AgentUnavailableError, CannotRunError, RepositoryError, SettingsError, UserError
from graftline.git.repository import open_repository
from graftline.preflight import check_request, load_effective
from graftline.request import BuildRequest
from tests.conftest import run_git
from tests.pipeline import Project

PLAN = "version: '1'\ntasks:\n  - {id: a, prompt: do it}\n"


def request_for(project: Project, **fields: object) -> BuildRequest:
    (project.path / "plan.yaml").write_text(PLAN)
    return BuildRequest.model_validate({"repository": str(project.path), "plan_file": "plan.yaml", **fields})


async def test_blocks_are_asked_for_the_agents_that_no_profile_is_called_like(offline_project: Project) -> None:
    offline_project.configure({}, {}, {"agent": {"backend": "nightly"}})
    tasks = [{"id": name, "prompt": "do it", "agent": name} for name in ("scripted", "command", "reviewer")]
    plan = {"tasks": [*tasks, {"id": "own", "prompt": "do it"}]}
    request = BuildRequest.model_validate({"repository": str(offline_project.path), "plan": plan})
    asked: list[frozenset[str]] = []

    async def load(names: frozenset[str]) -> Mapping[str, AnyProfile]:
        asked.append(names)
        return dict.fromkeys((*names, "scripted"), CommandProfile(command=["true"], cost_usd=0.5))

    with pytest.raises(SettingsError, match="'command' says nothing about which command"):
        await check_request(request, os.environ, load_blocks=load)
    named = request.model_copy(update={"agent": "other", "plan": None, "plan_file": "missing.md"})
    with pytest.raises(UserError, match=r"missing\.md: the plan file cannot be read"):
        await check_request(named, os.environ, load_blocks=load)
    assert asked == [frozenset({"nightly", "reviewer"}), frozenset({"other"})]
    settings = load_effective(request, open_repository(offline_project.path), os.environ, blocks=await load(asked[0]))
    costs = {name: resolve_backend(settings.settings, name).call_cost_usd for name in settings.settings.agents}
    assert costs == {"nightly": 0.5, "reviewer": 0.5, "scripted": 0.0}


async def test_a_request_that_can_run_says_what_it_comes_to_and_writes_nothing(offline_project: Project) -> None:
    offline_project.configure({}, {}, {})
    request = request_for(offline_project, limits={"max_cost_usd": 1.5})
    before = offline_project.snapshot()
    checked = await check_request(request, os.environ)

    assert checked.manifest is not None
    assert [spec.id for spec in checked.manifest.plan.tasks] == ["a"]
    assert checked.target.branch == "main"
    assert checked.settings.cost.max_usd == 1.5
    assert checked.effective.origins["cost.max_usd"] == "request"
    assert checked.notes[-1] == "1 uncommitted change(s) that agents will not see: plan.yaml"
    assert offline_project.snapshot() == before


@pytest.mark.parametrize(
    ("settings", "fields", "error", "message"),
    [
        ({"agents.scripted": {"command": ["no-such-agent"]}}, {}, AgentUnavailableError, "no-such-agent"),
        ({"test": {"runner": "command", "command": []}}, {}, SettingsError, "needs `[test] command`"),
        ({"test": {"command": ["no-such-runner"]}}, {}, CannotRunError, "no-such-runner"),
        ({}, {"target": "nowhere"}, RepositoryError, "has no branch 'nowhere'"),
        ({}, {"agent": "scriptd"}, SettingsError, "scriptd"),
        ({"heal": {"max_round": 1}}, {}, SettingsError, "max_rounds"),
        ({}, {"plan_file": "missing.yaml"}, UserError, "missing.yaml: the plan file cannot be read"),
    ],
)
async def test_what_stands_in_the_way_is_named(
    offline_project: Project,
    settings: Mapping[str, Mapping[str, object]],
    fields: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    offline_project.configure({}, {}, settings)
    with pytest.raises(error) as raised:
        await check_request(request_for(offline_project, **fields), os.environ)
    assert message in str(raised.value)


async def test_a_branch_in_the_way_of_every_result_branch_is_found_before(offline_project: Project) -> None:
    offline_project.configure({}, {}, {})
    run_git(offline_project.path, "branch", "graftline")
    with pytest.raises(RepositoryError, match=r"'graftline'.* is in the way"):
        await check_request(request_for(offline_project), os.environ)


async def test_a_disk_that_cannot_hold_the_worktrees_is_found_before(
    offline_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline_project.configure({}, {}, {})
    monkeypatch.setattr(preflight, "SPARE_BYTES", 2**60)
    with pytest.raises(CannotRunError, match=r"MB free, but 4 agents need about"):
        await check_request(request_for(offline_project), os.environ)


async def test_a_plan_outside_the_repository_is_found_where_it_was_named(
    offline_project: Project, tmp_path: Path
) -> None:
    offline_project.configure({}, {}, {})
    (tmp_path / "elsewhere.yaml").write_text(PLAN)
    request = request_for(offline_project, plan_file=str(tmp_path / "elsewhere.yaml"))
    manifest = (await check_request(request, os.environ)).manifest
    assert manifest is not None
    assert manifest.plan.tasks[0].id == "a"
