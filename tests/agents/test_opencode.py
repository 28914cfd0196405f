"""The command line of OpenCode, the configuration it is given, and whose key goes where."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from graftline.agents.backend import Assignment, Session
from graftline.agents.opencode import KEY_VARIABLE, OpenCodeBackend
from graftline.agents.profiles import OpenCodeProfile
from graftline.errors import UserError

LOCAL = "http://localhost:11434/v1"
KEYS = {"OPENAI_API_KEY": "key-openai", "ANTHROPIC_API_KEY": "key-anthropic", "COMPATIBLE_API_KEY": "key-of-nobody"}
ENVIRON = {"PATH": "/usr/bin:/bin", **KEYS}


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    (tmp_path / "w").mkdir()
    folder = tmp_path / "attempt"
    return Assignment(prompt="Do it.", worktree=tmp_path / "w", folder=folder, facts={}, env={}, environ=ENVIRON)


# Any: JSON, looked into by the tests.
def config(profile: OpenCodeProfile, assignment: Assignment) -> tuple[dict[str, Any], str]:
    """The configuration a call gets, and the key beside it."""
    env = OpenCodeBackend(profile).invocation(assignment).env
    assert not set(KEYS) & set(env)
    return json.loads(env["OPENCODE_CONFIG_CONTENT"]), env.get(KEY_VARIABLE, "")


def test_address_of_the_profile_gets_its_model_and_only_the_profiles_key(assignment: Assignment) -> None:
    found, key = config(OpenCodeProfile(model="qwen/qwen3-coder", base_url=LOCAL), assignment)
    assert (found["model"], found["enabled_providers"], key) == ("compatible/qwen/qwen3-coder", ["compatible"], "")
    assert found["provider"]["compatible"]["models"] == {"qwen/qwen3-coder": {}}
    assert found["provider"]["compatible"]["options"] == {"baseURL": LOCAL}
    _, key = config(OpenCodeProfile(model="m", base_url=LOCAL, api_key=SecretStr("key-profile")), assignment)
    assert key == "key-profile"


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (OpenCodeProfile(model="anthropic/claude-sonnet-4-5"), "key-anthropic"),
        (OpenCodeProfile(model="anthropic/claude-sonnet-4-5", api_key=SecretStr("key-profile")), "key-profile"),
        (OpenCodeProfile(model="openai/gpt-5.5", env={"OPENAI_API_KEY": "key-own"}), "key-own"),
        (OpenCodeProfile(model="amazon-bedrock/some.model"), ""),
    ],
)
def test_provider_it_knows_by_itself_gets_the_key_of_that_provider(
    profile: OpenCodeProfile, expected: str, assignment: Assignment
) -> None:
    call = OpenCodeBackend(profile).invocation(assignment)
    found = json.loads(call.env["OPENCODE_CONFIG_CONTENT"])
    provider = profile.model.partition("/")[0]
    options = {"apiKey": f"{{env:{KEY_VARIABLE}}}"} if expected else {}
    assert (found["model"], found["provider"]) == (profile.model, {provider: {"options": options}})
    assert call.env.get(KEY_VARIABLE, "") == expected


def test_session_goes_on_under_its_id(assignment: Assignment) -> None:
    call = OpenCodeBackend(OpenCodeProfile()).invocation(replace(assignment, session=Session(id="ses_1")))
    assert call.argv[-2:] == ("--session", "ses_1")


@pytest.mark.parametrize(
    ("files", "guide"),
    [
        ({"AGENTS.md": "Use tabs.\n", "CLAUDE.md": "Be brief."}, "Use tabs."),
        ({"CLAUDE.md": "Be brief."}, "Be brief."),
        ({}, ""),
    ],
)
def test_guide_of_the_worktree_is_handed_over_as_text(
    files: dict[str, str], guide: str, assignment: Assignment
) -> None:
    for name, text in files.items():
        (assignment.worktree / name).write_text(text)
    written = OpenCodeBackend(OpenCodeProfile()).invocation(assignment).files
    assert written[assignment.home / ".config" / "opencode" / "AGENTS.md"].decode() == guide


@pytest.mark.parametrize("name", ["opencode.json", ".opencode/plugin/a.js", ".opencode/plugins/a.ts"])
def test_repository_with_what_it_would_run_is_refused(name: str, assignment: Assignment) -> None:
    (assignment.worktree / ".opencode" / "agent").mkdir(parents=True)
    OpenCodeBackend(OpenCodeProfile()).invocation(assignment)
    (assignment.worktree / name).parent.mkdir(exist_ok=True)
    (assignment.worktree / name).write_text("{}")
    with pytest.raises(UserError, match="OpenCode would run"):
        OpenCodeBackend(OpenCodeProfile()).invocation(assignment)


@pytest.mark.parametrize(
    ("profile", "provider", "reports_cost"),
    [
        (OpenCodeProfile(model="m", base_url=LOCAL), "localhost:11434", False),
        (OpenCodeProfile(model="openrouter/z/m"), "openrouter", True),
    ],
)
def test_provider_and_cost_are_those_of_who_answers(
    profile: OpenCodeProfile, provider: str, *, reports_cost: bool
) -> None:
    backend = OpenCodeBackend(profile)
    assert (backend.provider({}), backend.capabilities.reports_cost) == (provider, reports_cost)


@pytest.mark.parametrize(
    ("profile", "problem", "access"),
    [
        (OpenCodeProfile(), "no model", ""),
        (OpenCodeProfile(model="sonnet"), "`model` is to name a provider too", ""),
        (OpenCodeProfile(model="x-ai/grok"), "no credentials: set X_AI_API_KEY", ""),
        (OpenCodeProfile(model="anthropic/m"), "", "ANTHROPIC_API_KEY"),
        (OpenCodeProfile(model="anthropic/m", api_key=SecretStr("k")), "", "api_key of the profile"),
        (OpenCodeProfile(model="m", base_url=LOCAL), "", "no key, at an address of its own"),
        (OpenCodeProfile(model="amazon-bedrock/m", pass_env=["AWS_PROFILE"]), "", "AWS_PROFILE"),
    ],
)
async def test_probe_tells_what_is_missing_and_names_the_key(
    profile: OpenCodeProfile, problem: str, access: str, tmp_path: Path
) -> None:
    program = tmp_path / "opencode"
    program.write_text("#!/bin/sh\necho 1.18.33\n")
    program.chmod(0o755)
    probe = await OpenCodeBackend(profile).probe({**ENVIRON, "PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (probe.version, [each[: len(problem)] for each in probe.problems]) == (
        "1.18.33",
        [problem] if problem else [],
    )
    assert probe.access == access
