"""The Gemini command line, its credentials, its settings file and its sessions."""

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from graftline.agents.backend import Assignment, Session
from graftline.agents.gemini import ACCESS, GeminiBackend
from graftline.agents.profiles import GeminiProfile

SESSION = str(uuid.UUID(int=7))
MakeCli = Callable[[str], Path]


@pytest.fixture
def cli(tmp_path: Path) -> MakeCli:
    def make(script: str) -> Path:
        program = tmp_path / "gemini"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return make


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path / "person"), "GEMINI_API_KEY": "key-env"}
    folder = tmp_path / "attempt"
    return Assignment(
        prompt="Do it.", worktree=tmp_path / "w", folder=folder, facts={}, env={}, environ=environ, session_id=SESSION
    )


def test_settings_file_says_what_no_flag_can(assignment: Assignment) -> None:
    settings = assignment.home / ".gemini" / "settings.json"
    plain = GeminiBackend(GeminiProfile()).invocation(assignment)
    limited = GeminiBackend(GeminiProfile(max_turns=80)).invocation(assignment)
    assert {**json.loads(plain.files[settings]), "model": {"maxSessionTurns": 80}} == json.loads(
        limited.files[settings]
    )
    assert "--model" not in plain.argv


def access(profile: GeminiProfile, assignment: Assignment, **environ: str) -> dict[str, str]:
    """What of the variables that decide about credentials the CLI gets with a value."""
    given = replace(assignment, environ={"PATH": "/usr/bin:/bin", **environ})
    call = GeminiBackend(profile).invocation(given)
    assert set(ACCESS) <= set(call.env), "what is not set could be set by a file of the repository"
    return {name: value for name in ACCESS if (value := call.env[name])}


def test_key_and_address_of_the_profile_go_before_those_of_the_environment(assignment: Assignment) -> None:
    environ = {"GEMINI_API_KEY": "key-env", "GOOGLE_GEMINI_BASE_URL": "http://env"}
    profile = GeminiProfile(api_key=SecretStr("key-profile"), base_url="http://profile")
    assert access(GeminiProfile(), assignment, **environ) == environ
    assert access(profile, assignment, **environ, GOOGLE_API_KEY="other") == {
        "GEMINI_API_KEY": "key-profile",
        "GOOGLE_GEMINI_BASE_URL": "http://profile",
    }
    assert access(GeminiProfile(env={"GEMINI_API_KEY": "key"}), assignment) == {"GEMINI_API_KEY": "key"}


def test_vertex_ai_has_a_key_an_address_and_a_setting_of_its_own(assignment: Assignment) -> None:
    profile = GeminiProfile(api_key=SecretStr("key"), base_url="http://v", env={"GOOGLE_GENAI_USE_VERTEXAI": "true"})
    found = access(profile, assignment, GEMINI_API_KEY="key-env")
    assert {name: found.get(name) for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_VERTEX_BASE_URL")} == {
        "GEMINI_API_KEY": None,
        "GOOGLE_API_KEY": "key",
        "GOOGLE_VERTEX_BASE_URL": "http://v",
    }
    ((_, settings),) = GeminiBackend(profile).invocation(assignment).files.items()
    assert json.loads(settings)["security"] == {"auth": {"selectedType": "vertex-ai", "useExternal": True}}


@pytest.mark.parametrize(
    ("environ", "host"),
    [
        ({"GEMINI_API_KEY": "k"}, "generativelanguage.googleapis.com"),
        ({"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": "http://u@proxy:81/x"}, "proxy:81"),
        ({"GOOGLE_GENAI_USE_VERTEXAI": "true"}, "aiplatform.googleapis.com"),
        ({"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_VERTEX_BASE_URL": "https://eu.example"}, "eu.example"),
    ],
)
def test_provider_is_the_host_that_is_asked(environ: dict[str, str], host: str) -> None:
    assert GeminiBackend(GeminiProfile()).provider(environ) == host


def test_session_goes_on_under_its_id(assignment: Assignment) -> None:
    going_on = replace(assignment, session=Session(id="earlier"))
    arguments = GeminiBackend(GeminiProfile()).invocation(going_on).argv
    assert (arguments[-2:], "--session-id" in arguments) == (("--resume", "earlier"), False)


@pytest.mark.parametrize(
    ("environ", "profile", "access"),
    [
        ({}, GeminiProfile(), ""),
        ({"GEMINI_API_KEY": "k"}, GeminiProfile(), "GEMINI_API_KEY"),
        ({"GEMINI_API_KEY": "k"}, GeminiProfile(api_key=SecretStr("k")), "api_key of the profile"),
        ({"GOOGLE_GENAI_USE_VERTEXAI": "true"}, GeminiProfile(), "Vertex AI"),
    ],
)
async def test_probe_names_the_credentials_or_misses_them(
    environ: dict[str, str], profile: GeminiProfile, access: str, assignment: Assignment, cli: MakeCli
) -> None:
    cli("echo 0.61.0")
    probe = await GeminiBackend(profile).probe({"PATH": assignment.environ["PATH"], **environ})
    assert (probe.version, probe.access) == ("0.61.0", access)
    assert [problem.partition(":")[0] for problem in probe.problems] == ([] if access else ["no credentials"])
