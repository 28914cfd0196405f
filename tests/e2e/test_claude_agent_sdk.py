"""The real Claude Agent SDK against the scripted model: the program that drives it, as the backend calls it.

The SDK is an extra that brings a CLI of 380 MB, so it has a Python of its own here, which `make agents` makes.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from graftline.agents.backend import Assignment, Session
from graftline.agents.calls import call_agent
from graftline.agents.claude_agent_sdk import ClaudeAgentSdkBackend
from graftline.agents.outcome import AgentOutcome, OutcomeKind
from graftline.agents.profiles import ClaudeAgentSdkProfile
from graftline.process import Limits
from tests.model_server import Ending, ModelServer

pytestmark = pytest.mark.cli

PYTHON = Path(__file__).parent / ".venv" / "bin" / "python"
PATIENT = Limits(wall_seconds=120)
SCRIPT = """
scenarios:
  - match: GO-ON
    turns: [{text: Nothing is left to do.}]
  - match: TASK-ADD
    turns:
      - {error: rate_limit, times: 1, retry_after_seconds: 0, tools: [{write: {path: add.py, content: a}}]}
      - {text: add.py is written.}
  - match: TASK-HANG
    turns: [{hang: true}]
"""


@pytest.fixture(scope="module")
def python() -> str:
    """A Python that has the SDK."""
    if not PYTHON.exists():
        reason = f"{PYTHON} is not there; `make agents` makes it"
        # In CI, where it is part of the set-up, a skip would hide a hole.
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return str(PYTHON)


@pytest.fixture
def backend(python: str, model_server: ModelServer) -> ClaudeAgentSdkBackend:
    model_server.scenario(SCRIPT)
    profile = ClaudeAgentSdkProfile(
        model="claude-sonnet-4-5", base_url=model_server.url, api_key=SecretStr("sk-scripted")
    )
    return ClaudeAgentSdkBackend(profile, python=python)


@pytest.fixture
def assignment(make_repository: Callable[..., Path], tmp_path: Path) -> Assignment:
    environ = {"PATH": os.environ["PATH"], "GITHUB_TOKEN": "ghp-secret"}
    folder = tmp_path / "attempt"
    return Assignment("TASK-ADD", make_repository(), folder, facts={}, env={}, environ=environ, session_id=str(uuid4()))


def ignore(_: object) -> None:
    """Nobody listens."""


async def call(backend: ClaudeAgentSdkBackend, assignment: Assignment, limits: Limits = PATIENT) -> AgentOutcome:
    return await call_agent(backend, assignment, limits=limits, on_progress=ignore, on_notice=ignore, on_start=ignore)


async def test_the_sdk_waits_writes_and_goes_on_with_its_session(
    backend: ClaudeAgentSdkBackend, assignment: Assignment, model_server: ModelServer
) -> None:
    (assignment.worktree / "CLAUDE.md").write_text("Use tabs, says CLAUDE.md.\n")
    (assignment.worktree / ".mcp.json").write_text('{"mcpServers": {"evil": {"command": "touch", "args": ["evil"]}}}')
    first = await call(backend, assignment)
    session = Session(first.session_id)
    second = await call(backend, replace(assignment, prompt="GO-ON", session=session, private_home=assignment.home))

    assert (first.kind, first.last_message) == (OutcomeKind.OK, "add.py is written.")
    assert (first.session_id, first.usage.turns, (first.usage.cost_usd or 0) > 0) == (assignment.session_id, 2, True)
    assert (second.kind, second.session_id) == (OutcomeKind.OK, first.session_id)
    assert (assignment.worktree / "add.py").read_text() == "a"
    assert not (assignment.worktree / "evil").exists()
    *answers, last = [record for record in model_server.requests() if record.scenario]
    assert [answer.ending for answer in answers] == [Ending.FAILED, Ending.ANSWERED, Ending.ANSWERED]
    assert "TASK-ADD" in last.text
    assert {answer.api_key for answer in answers} == {"sk-scripted"}
    assert "says CLAUDE.md" in answers[-1].text


async def test_the_sdk_and_its_cli_end_with_the_call(
    backend: ClaudeAgentSdkBackend, assignment: Assignment, model_server: ModelServer
) -> None:
    running = asyncio.create_task(call(backend, replace(assignment, prompt="TASK-HANG")))
    await asyncio.to_thread(model_server.wait_for, lambda record: record.ending is Ending.HANGING)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.to_thread(model_server.wait_for, lambda record: record.ending is Ending.CLIENT_GONE)
