"""The Claude Code command line, its credentials, and the files of the repository that it must not believe."""

import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from graftline.agents.backend import Assignment, Form
from graftline.agents.claude_code import ClaudeCodeBackend
from graftline.agents.profiles import ClaudeCodeProfile

SESSION = str(uuid.UUID(int=7))


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


@pytest.fixture
def cli(tools: Path) -> Callable[[str], Path]:
    def make(script: str) -> Path:
        (tools / "claude").write_text(f"#!/bin/sh\n{script}\n")
        (tools / "claude").chmod(0o755)
        return tools / "claude"

    return make


@pytest.fixture
def assignment(tmp_path: Path, tools: Path) -> Assignment:
    (tmp_path / "worktree").mkdir()
    return Assignment(
        prompt="Do it.",
        worktree=tmp_path / "worktree",
        folder=tmp_path / "attempt",
        facts={"GRAFTLINE_TASK_ID": "t"},
        env={},
        environ={"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(tmp_path / "person"), "ANTHROPIC_API_KEY": "sk-env"},
    )


def test_command_line_is_the_verified_one(assignment: Assignment, cli: Callable[[str], Path]) -> None:
    binary = cli("true")
    (assignment.worktree / "CLAUDE.md").write_text("Use tabs.\n")
    profile = ClaudeCodeProfile(model="sonnet", fallback_model="haiku", max_turns=80)
    call = ClaudeCodeBackend(profile).invocation(replace(assignment, budget_usd=1.5, session_id=SESSION))
    assert call.argv == (
        *(str(binary), "-p", "--output-format", "stream-json", "--verbose"),
        *("--setting-sources", "user", "--strict-mcp-config", "--dangerously-skip-permissions"),
        *("--model", "sonnet", "--fallback-model", "haiku", "--max-turns", "80", "--max-budget-usd", "1.500000"),
        *("--session-id", SESSION, "--append-system-prompt", "Use tabs."),
    )
    assert call.stdin == b"Do it."


def test_what_is_not_set_is_not_passed(assignment: Assignment, cli: Callable[[str], Path]) -> None:
    binary = cli("true")
    call = ClaudeCodeBackend(ClaudeCodeProfile(model="m", fallback_model="m")).invocation(assignment)
    assert call.argv == (
        *(str(binary), "-p", "--output-format", "stream-json", "--verbose"),
        *("--setting-sources", "user", "--strict-mcp-config", "--dangerously-skip-permissions", "--model", "m"),
    )


def test_a_form_is_filled_in_without_tools_and_without_a_trace(
    assignment: Assignment, cli: Callable[[str], Path]
) -> None:
    binary = cli("true")
    form = Form({"type": "object"}, "You plan.")
    call = ClaudeCodeBackend(ClaudeCodeProfile()).invocation(replace(assignment, form=form))
    instructions = assignment.folder / "instructions.md"
    assert call.argv == (
        *(str(binary), "-p", "--output-format", "stream-json", "--verbose", "--setting-sources", "user"),
        *("--strict-mcp-config", "--tools", "", "--disable-slash-commands", "--no-session-persistence"),
        *("--json-schema", '{"type": "object"}', "--system-prompt-file", str(instructions)),
    )
    assert (call.stdin, call.files) == (b"Do it.", {instructions: b"You plan."})


def test_environment_is_private_and_quiet(assignment: Assignment) -> None:
    env = ClaudeCodeBackend(ClaudeCodeProfile()).invocation(assignment).env
    home = assignment.folder / "home"
    told = {
        name: value for name, value in env.items() if name.startswith(("ANTHROPIC", "CLAUDE", "DISABLE", "IS_", "HOME"))
    }
    assert told == {
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "ANTHROPIC_API_KEY": "sk-env",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
        "CLAUDE_CODE_MAX_RETRIES": "4",
        "DISABLE_AUTOUPDATER": "1",
        **({"IS_SANDBOX": "1"} if os.geteuid() == 0 else {}),
    }


def access(backend: ClaudeCodeBackend, assignment: Assignment, **environ: str) -> dict[str, str]:
    given = replace(assignment, environ={"PATH": "/usr/bin:/bin", "HOME": "/home/person", **environ})
    names = ("ANTHROPIC_", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH", "CLAUDE_CODE_USE", "HOME")
    env = backend.invocation(given).env
    return {name: value for name, value in env.items() if name.startswith(names)}


def test_profile_key_and_address_go_before_those_of_the_environment(assignment: Assignment) -> None:
    profile = ClaudeCodeProfile(api_key=SecretStr("sk-profile"), base_url="http://profile")
    environ = {"ANTHROPIC_API_KEY": "sk-env", "ANTHROPIC_AUTH_TOKEN": "token", "ANTHROPIC_BASE_URL": "http://env"}
    home = assignment.folder / "home"
    private = {"HOME": str(home), "CLAUDE_CONFIG_DIR": str(home / ".claude")}
    assert access(ClaudeCodeBackend(profile), assignment, **environ) == {
        **private,
        "ANTHROPIC_API_KEY": "sk-profile",
        "ANTHROPIC_BASE_URL": "http://profile",
    }
    assert access(ClaudeCodeBackend(ClaudeCodeProfile()), assignment, **environ) == {**private, **environ}


def test_token_of_the_profile_keeps_the_key_of_the_environment_from_another_server(assignment: Assignment) -> None:
    local = ClaudeCodeProfile(auth_token=SecretStr("ollama"), base_url="http://localhost:11434", model="qwen3-coder")
    given = access(ClaudeCodeBackend(local), assignment, ANTHROPIC_API_KEY="sk-env", CLAUDE_CODE_OAUTH_TOKEN="oauth")
    assert {name: value for name, value in given.items() if name.startswith(("ANTHROPIC_", "CLAUDE_CODE"))} == {
        "ANTHROPIC_AUTH_TOKEN": "ollama",
        "ANTHROPIC_BASE_URL": "http://localhost:11434",
    }


def test_own_login_is_used_only_where_there_is_no_key(assignment: Assignment) -> None:
    plain = ClaudeCodeBackend(ClaudeCodeProfile())
    cloud = ClaudeCodeBackend(ClaudeCodeProfile(env={"CLAUDE_CODE_USE_BEDROCK": "1"}))
    person = {"HOME": "/home/person"}
    assert access(plain, assignment) == person
    assert access(plain, assignment, CLAUDE_CONFIG_DIR="/home/person/c") == {
        **person,
        "CLAUDE_CONFIG_DIR": "/home/person/c",
    }
    private = str(assignment.folder / "home")
    assert access(plain, assignment, CLAUDE_CODE_OAUTH_TOKEN="oauth")["HOME"] == private
    assert access(cloud, assignment)["HOME"] == private


async def test_probe_tells_version_and_binary(assignment: Assignment, cli: Callable[[str], Path]) -> None:
    binary = cli('[ "$1" = --version ] && echo "2.1.329 (Claude Code)"')
    probe = await ClaudeCodeBackend(ClaudeCodeProfile()).probe(assignment.environ)
    assert (probe.backend, probe.binary, probe.version) == ("claude-code", str(binary), "2.1.329")
    assert (probe.problems, probe.notes) == ((), ())


async def test_probe_names_a_missing_binary(assignment: Assignment) -> None:
    environ = {**assignment.environ, "PATH": str(assignment.worktree)}
    probe = await ClaudeCodeBackend(ClaudeCodeProfile(binary="claude-x")).probe(environ)
    assert (probe.binary, probe.version) == ("claude-x", "")
    assert ["'claude-x' is not an executable file on PATH" in problem for problem in probe.problems] == [True]


async def test_probe_shows_what_a_broken_cli_says(assignment: Assignment, cli: Callable[[str], Path]) -> None:
    cli("echo 'native binary not installed' >&2; exit 1")
    probe = await ClaudeCodeBackend(ClaudeCodeProfile()).probe(assignment.environ)
    assert ["status 1: native binary not installed" in problem for problem in probe.problems] == [True]


async def test_probe_misses_credentials_and_says_when_it_uses_a_login(
    assignment: Assignment, cli: Callable[[str], Path], tmp_path: Path
) -> None:
    cli("echo 2.1.197")
    environ = {"PATH": assignment.environ["PATH"], "HOME": str(tmp_path / "person")}
    backend = ClaudeCodeBackend(ClaudeCodeProfile())
    without = await backend.probe(environ)
    (tmp_path / "person" / ".claude").mkdir(parents=True)
    (tmp_path / "person" / ".claude" / ".credentials.json").write_text("{}")
    with_login = await backend.probe(environ)
    assert [problem.partition(":")[0] for problem in without.problems] == ["no credentials"]
    assert (with_login.problems, [note.partition(":")[0] for note in with_login.notes]) == ((), ["no API key is set"])


async def test_probe_runs_without_our_secrets(
    assignment: Assignment, cli: Callable[[str], Path], tmp_path: Path
) -> None:
    cli(f"env > {tmp_path}/seen; echo 2.1.197")
    await ClaudeCodeBackend(ClaudeCodeProfile()).probe({**assignment.environ, "GITHUB_TOKEN": "ghp-secret"})
    seen = (tmp_path / "seen").read_text()
    assert "PATH=" in seen
    assert "sk-env" not in seen
    assert "ghp-secret" not in seen
