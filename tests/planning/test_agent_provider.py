"""An agent CLI as a planner: what of its ends is an answer, and what is left behind."""

import asyncio
import json
import os
import shlex
from pathlib import Path

import pytest
from pydantic import JsonValue

from graftline.agents.claude_code import ClaudeCodeBackend
from graftline.agents.outcome import OutcomeKind, Usage
from graftline.agents.profiles import ClaudeCodeProfile
from graftline.planning.agent_provider import AgentProvider
from graftline.planning.provider import Answer, Message, Question, Refusal
from graftline.process import ProcessIdentity, is_alive
from graftline.settings import TimeoutSettings

QUESTION = Question("plan", "You plan.", (Message("user", "Do it"),), {"type": "object"}, "plan", 1000)
END: dict[str, JsonValue] = {"type": "result", "subtype": "success", "is_error": False, "total_cost_usd": 0.25}


def said(**fields: JsonValue) -> str:
    return f"printf '%s\\n' {shlex.quote(json.dumps({**END, **fields}))}"


class Played:
    """A provider whose CLI is a shell script, and the processes it started."""

    def __init__(self, folder: Path, script: str) -> None:
        self.program = folder / "claude"
        self.program.write_text(f"#!/bin/sh\n{script}\n")
        self.program.chmod(0o755)
        self.folder = folder / "call"
        self.begun: list[ProcessIdentity] = []
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder / "person"), "ANTHROPIC_API_KEY": "key"}

    async def ask(self, question: Question = QUESTION) -> Answer | Refusal:
        backend = ClaudeCodeBackend(ClaudeCodeProfile(binary=str(self.program)))
        provider = AgentProvider(
            backend, profile="claude-code", model="", environ=self.environ, timeouts=TimeoutSettings()
        )
        return await provider.ask(question, budget_usd=1.0, folder=self.folder, on_start=self.begun.append)


async def test_its_last_word_in_full_is_the_answer(tmp_path: Path) -> None:
    long = {"title": "x" * 100_000}
    look = f"cat > {tmp_path}/prompt; cp -r {tmp_path}/call {tmp_path}/seen"
    played = Played(tmp_path, f"{look}; {said(result=json.dumps(long))}")
    messages = (Message("user", "Do it"), Message("assistant", "{}"), Message("user", "Once more"))
    answer = await played.ask(Question("plan", "You plan.", messages, {"type": "object"}, "plan", 1000))
    assert isinstance(answer, Answer)
    assert (answer.data, answer.usage.cost_usd) == (long, 0.25)
    prompt = (tmp_path / "prompt").read_text()
    assert prompt == "Do it\n\n---\n\n# You answered\n\n{}\n\n---\n\n# What was said to that\n\nOnce more"
    assert (tmp_path / "seen" / "home").is_dir()
    assert (tmp_path / "seen" / "instructions.md").read_text() == "You plan."
    assert not (played.folder / "home").exists()
    assert len(played.begun) == 1


@pytest.mark.parametrize(
    ("script", "kind", "words", "cost_usd"),
    [
        (
            said(is_error=True, api_error_status=401, result="Invalid API key"),
            OutcomeKind.AUTH,
            "Invalid API key",
            0.25,
        ),
        (said(subtype="error_max_budget_usd", is_error=True), OutcomeKind.BUDGET, "error_max_budget_usd", 0.25),
        (said(is_error=True, api_error_status=529, result="Overloaded"), OutcomeKind.OVERLOADED, "Overloaded", 0.25),
        ("echo 'unknown option' >&2; exit 1", OutcomeKind.CONFIG, "unknown option", None),
        ("kill -9 $$", OutcomeKind.INTERRUPTED, "interrupted from outside", None),
    ],
    ids=["key", "limit", "busy", "version", "killed"],
)
async def test_any_other_end_is_a_refusal_of_its_kind(
    tmp_path: Path, script: str, kind: OutcomeKind, words: str, cost_usd: float | None
) -> None:
    refusal = await Played(tmp_path, script).ask()
    assert isinstance(refusal, Refusal)
    assert (refusal.kind, refusal.usage.cost_usd) == (kind, cost_usd)
    assert words in refusal.detail


async def test_a_cli_that_cannot_be_started_costs_nothing(tmp_path: Path) -> None:
    played = Played(tmp_path, "true")
    played.program.unlink()
    refusal = await played.ask()
    assert isinstance(refusal, Refusal)
    assert (refusal.kind, refusal.usage) == (
        OutcomeKind.CONFIG,
        Usage(cost_usd=0.0, input_tokens=0, output_tokens=0),
    )
    assert played.begun == []


async def test_whoever_stops_waiting_leaves_no_cli_and_no_home_behind(tmp_path: Path) -> None:
    played = Played(tmp_path, "sleep 1000")
    asked = asyncio.create_task(played.ask())
    async with asyncio.timeout(30):
        while not played.begun:  # noqa: ASYNC110  the process says so itself
            await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not is_alive(played.begun[0])
    assert not (played.folder / "home").exists()
