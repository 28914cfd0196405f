"""The Claude Agent SDK: what it is asked for, and what its absence is told as; the SDK itself runs in tests/e2e."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from graftline.agents.backend import Assignment, Session
from graftline.agents.claude_agent_sdk import ClaudeAgentSdkBackend
from graftline.agents.profiles import ClaudeAgentSdkProfile


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    environ = {"PATH": "/usr/bin:/bin", "ANTHROPIC_API_KEY": "sk-env", "GITHUB_TOKEN": "ghp-secret"}
    return Assignment("Do it.", tmp_path, tmp_path / "attempt", facts={}, env={"PYTHONPATH": "src"}, environ=environ)


def options(backend: ClaudeAgentSdkBackend, assignment: Assignment) -> dict[str, object]:
    """The options of a call, without those that every call has."""
    chosen: dict[str, object] = json.loads(backend.invocation(assignment).argv[-1])
    fixed = ("permission_mode", "setting_sources", "strict_mcp_config", "system_prompt")
    return {name: value for name, value in chosen.items() if name not in fixed}


def test_options_are_those_of_the_profile_and_the_call(assignment: Assignment) -> None:
    profile = ClaudeAgentSdkProfile(model="sonnet", fallback_model="haiku", max_turns=80, binary="/opt/claude")
    call = replace(assignment, budget_usd=1.5, session_id="s-1")
    assert options(ClaudeAgentSdkBackend(profile), call) == {
        "model": "sonnet",
        "fallback_model": "haiku",
        "max_turns": 80,
        "max_budget_usd": 1.5,
        "session_id": "s-1",
        "cli_path": "/opt/claude",
    }
    resumed = replace(call, session=Session("s-0"), budget_usd=None)
    assert options(ClaudeAgentSdkBackend(ClaudeAgentSdkProfile()), resumed) == {"resume": "s-0"}
    assert options(ClaudeAgentSdkBackend(ClaudeAgentSdkProfile()), assignment) == {}


def test_python_of_the_sdk_loads_nothing_of_the_task(assignment: Assignment) -> None:
    call = ClaudeAgentSdkBackend(ClaudeAgentSdkProfile()).invocation(assignment)
    # The variable is for the commands of the agent; the interpreter before them ignores it.
    assert call.argv[:3] == (sys.executable, "-E", "-P")
    assert (call.env["PYTHONPATH"], call.env["ANTHROPIC_API_KEY"]) == ("src", "sk-env")
    assert "ghp-secret" not in call.env.values()


async def test_missing_sdk_is_told_with_the_extra_that_brings_it(tmp_path: Path) -> None:
    bare = tmp_path / "python"  # without what is installed beside graftline
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    profile = ClaudeAgentSdkProfile(api_key=SecretStr("k"))
    probe = await ClaudeAgentSdkBackend(profile, python=str(bare)).probe({"PATH": "/usr/bin:/bin"})
    (problem,) = probe.problems
    assert "No module named 'claude_agent_sdk': pip install 'graftline[claude-agent-sdk]'" in problem


async def test_probe_names_a_missing_cli_and_missing_credentials(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 0.2.186\n")
    python.chmod(0o755)
    backend = ClaudeAgentSdkBackend(ClaudeAgentSdkProfile(binary="claude-x"), python=str(python))
    probe = await backend.probe({"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert (probe.version, [problem.partition(":")[0] for problem in probe.problems]) == (
        "0.2.186",
        ["'claude-x' is not an executable file on PATH", "no credentials"],
    )
