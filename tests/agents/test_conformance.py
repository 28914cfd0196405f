"""What every agent backend promises, shown with real processes: one suite, all backends.

A backend joins by a `Stand`: a program that plays its CLI, and how that CLI tells of success.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest
from pydantic import SecretStr

from graftline.agents.backend import AgentBackend, Assignment
from graftline.agents.calls import call_agent
from graftline.agents.claude_code import ClaudeCodeBackend
from graftline.agents.command import CommandBackend
from graftline.agents.outcome import AgentOutcome, OutcomeKind
from graftline.agents.profiles import ClaudeCodeProfile, CommandProfile
from graftline.errors import CannotRunError
from graftline.process import Limits, ProcessIdentity

SECRET = "sk-very-secret-0123456789"
PATIENT = Limits(wall_seconds=60, grace_seconds=0.2)


class MakeBackend(Protocol):
    """Builds a backend whose CLI is the given program."""

    def __call__(self, program: Path) -> AgentBackend: ...


@dataclass(frozen=True)
class Stand:
    """How to stand in for one CLI."""

    make: MakeBackend
    success: Sequence[str]
    last_message: str


def command_backend(program: Path) -> AgentBackend:
    return CommandBackend(CommandProfile(command=[str(program)], pass_env=["AGENT_KEY"], cost_usd=0.01))


def claude_backend(program: Path) -> AgentBackend:
    profile = ClaudeCodeProfile(binary=str(program), model="m", api_key=SecretStr(SECRET), pass_env=["AGENT_KEY"])
    return ClaudeCodeBackend(profile)


STANDS = {
    "command": Stand(make=command_backend, success=["working", "All done."], last_message="working\nAll done."),
    "claude-code": Stand(
        make=claude_backend,
        success=[
            '{"type":"system","subtype":"init","model":"m","claude_code_version":"2.1.329"}',
            '{"type":"assistant","message":{"content":[{"type":"text","text":"working"}]}}',
            '{"type":"result","subtype":"success","is_error":false,"result":"All done.","total_cost_usd":0.01}',
        ],
        last_message="All done.",
    ),
}


@dataclass
class Stage:
    """One backend, its stand-in CLI and the folders of one attempt."""

    stand: Stand
    program: Path
    assignment: Assignment
    seen: Path
    progress: list[str]
    started: list[ProcessIdentity]

    def play(self, body: str = "", *, lines: Sequence[str] | None = None) -> None:
        """Make the CLI note what it was given, do `body`, and print the lines of a success."""
        printed = json.dumps("".join(f"{line}\n" for line in (self.stand.success if lines is None else lines)))
        self.program.write_text(
            f"#!{sys.executable} -I\n"
            "import json, os, pathlib, signal, sys, time\n"
            "given = sys.stdin.read()\n"
            "facts = {'argv': sys.argv[1:], 'env': dict(os.environ), 'stdin': given, 'cwd': os.getcwd()}\n"
            f"pathlib.Path({str(self.seen)!r}).write_text(json.dumps(facts))\n"
            f"{body}\n"
            f"sys.stdout.write({printed})\n"
        )
        self.program.chmod(0o755)

    @property
    def backend(self) -> AgentBackend:
        return self.stand.make(program=self.program)

    async def call(self, limits: Limits = PATIENT) -> AgentOutcome:
        return await call_agent(
            self.backend,
            self.assignment,
            limits=limits,
            on_progress=self.progress.append,
            on_start=self.started.append,
        )


@pytest.fixture(params=STANDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    (tmp_path / "worktree").mkdir()
    assignment = Assignment(
        prompt="Add a thing.\nNicely.",
        worktree=tmp_path / "worktree",
        folder=tmp_path / "attempts" / "t" / "1",
        facts={"GRAFTLINE_TASK_ID": "t", "GRAFTLINE_TASK_ATTEMPT": "1"},
        env={"FROM_TASK": "yes"},
        environ={**os.environ, "GITHUB_TOKEN": SECRET, "AGENT_KEY": SECRET, "FROM_US": "no"},
    )
    stand = STANDS[request.param]
    return Stage(stand, tmp_path / "cli", assignment, tmp_path / "seen.json", progress=[], started=[])


async def test_success_is_judged_and_told_whole(stage: Stage) -> None:
    stage.play()
    outcome = await stage.call()
    assert (outcome.kind, outcome.detail, outcome.exit_status) == (OutcomeKind.OK, "", 0)
    assert (outcome.backend, outcome.last_message) == (stage.backend.type, stage.stand.last_message)
    assert outcome.usage.cost_usd == 0.01
    assert outcome.seconds > 0
    assert stage.progress[0] == "working"
    assert len(stage.started) == 1


async def test_agent_gets_prompt_facts_and_worktree(stage: Stage) -> None:
    stage.play("print(pathlib.Path(os.environ['GRAFTLINE_TASK_PROMPT_FILE']).read_text() == given, file=sys.stderr)")
    await stage.call()
    seen = json.loads(stage.seen.read_text())
    folder = stage.assignment.folder
    assert (seen["stdin"], seen["cwd"]) == (stage.assignment.prompt, str(stage.assignment.worktree))
    assert (folder / "agent.log.stderr").read_text() == "True\n"
    expected = {**stage.assignment.facts, "FROM_TASK": "yes", "AGENT_KEY": SECRET, "HOME": str(folder / "home")}
    assert {name: seen["env"].get(name) for name in expected} == expected
    assert seen["env"]["TMPDIR"] != os.environ.get("TMPDIR")


async def test_no_secret_of_ours_arrives_and_none_stands_in_argv(stage: Stage) -> None:
    stage.play()
    await stage.call()
    seen = json.loads(stage.seen.read_text())
    assert not set(seen["env"]) & {"GITHUB_TOKEN", "FROM_US"}
    assert SECRET not in " ".join(seen["argv"])
    assert stage.assignment.prompt not in " ".join(seen["argv"])


async def test_prompt_of_a_megabyte_arrives(stage: Stage) -> None:
    stage.assignment = replace(stage.assignment, prompt="prömpt " * 150_000)
    stage.play()
    assert (await stage.call()).kind is OutcomeKind.OK
    assert json.loads(stage.seen.read_text())["stdin"] == stage.assignment.prompt
    assert (stage.assignment.folder / "prompt.md").read_text() == stage.assignment.prompt


async def test_agent_that_reads_no_prompt_succeeds(stage: Stage) -> None:
    stage.assignment = replace(stage.assignment, prompt="x" * 1_000_000)
    text = "".join(f"{line}\n" for line in stage.stand.success)
    stage.program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\n")
    stage.program.chmod(0o755)
    assert (await stage.call()).kind is OutcomeKind.OK


async def test_files_of_the_attempt_are_private_and_temporary_ones_go(stage: Stage) -> None:
    stage.play("pathlib.Path(os.environ['TMPDIR'], 'left').write_text('x')")
    await stage.call()
    folder = stage.assignment.folder
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
    assert modes == {"1": 0o700, "home": 0o700, "prompt.md": 0o600, "agent.log": 0o600, "agent.log.stderr": 0o600}
    temporary = Path(json.loads(stage.seen.read_text())["env"]["TMPDIR"])
    assert not temporary.exists()


NOISE = [b"garbage \x1b[2J {", b'{"type": "unheard_of"}', b"x" * 1_200_000, b"\xff\xfe\xed\xa0\x80"]


@pytest.mark.parametrize("noise", NOISE, ids=["garbage", "unknown event", "a megabyte", "no text"])
async def test_unknown_and_enormous_lines_change_nothing(stage: Stage, noise: bytes) -> None:
    stage.play(f"os.write(1, {noise[:20]!r}); sys.stdout.buffer.write({noise[20:]!r} + b'\\n'); sys.stdout.flush()")
    outcome = await stage.call()
    assert outcome.kind is OutcomeKind.OK
    assert outcome.last_message.endswith("All done.")
    assert all(len(text) <= 200 and text.isprintable() for text in stage.progress)


@pytest.mark.parametrize("body", ["sys.exit(1)", "os.kill(os.getpid(), 9)"])
async def test_crash_is_no_success(stage: Stage, body: str) -> None:
    stage.play(f"print('almost', flush=True); {body}")
    outcome = await stage.call()
    assert outcome.kind in {OutcomeKind.FAILED, OutcomeKind.INTERRUPTED}
    assert outcome.detail


async def test_wall_clock_ends_the_call(stage: Stage) -> None:
    stage.play("time.sleep(600)")
    outcome = await stage.call(Limits(wall_seconds=0.5, grace_seconds=0.2))
    assert (outcome.kind, outcome.exit_status) == (OutcomeKind.TIMED_OUT, -15)


async def test_cancelled_call_leaves_no_process_and_no_temporary_folder(stage: Stage) -> None:
    stage.play("print('ready', flush=True); print(json.dumps({'type': 'x'}), flush=True); time.sleep(600)")
    begun = asyncio.Event()
    stage.started = _Announcing(begun)
    call = asyncio.create_task(stage.call())
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not Path(f"/proc/{stage.started[0].pid}").exists()


class _Announcing(list[ProcessIdentity]):
    """A list that tells when something was added."""

    def __init__(self, event: asyncio.Event) -> None:
        super().__init__()
        self._event = event

    def append(self, item: ProcessIdentity) -> None:
        super().append(item)
        self._event.set()


async def test_missing_program_cannot_run_and_is_found_out_by_the_probe(stage: Stage) -> None:
    probe = await stage.backend.probe(stage.assignment.environ)
    assert (probe.backend, len(probe.problems)) == (stage.backend.type, 1)
    with pytest.raises(CannotRunError, match="was not found"):
        await stage.call()


async def test_present_program_passes_the_probe(stage: Stage) -> None:
    stage.play(lines=["1.2.3 (Some Agent)"])
    assert (await stage.backend.probe(stage.assignment.environ)).problems == ()


async def test_silence_ends_only_agents_that_report_what_they_do(stage: Stage) -> None:
    # A program that works for long without a word is no worse for it.
    stage.play("time.sleep(1.5)")
    outcome = await stage.call(replace(PATIENT, stall_seconds=0.5))
    expected = OutcomeKind.OK if stage.backend.type == "command" else OutcomeKind.STALLED
    assert outcome.kind is expected


async def test_declared_no_change_is_found(stage: Stage) -> None:
    stage.play(lines=[line.replace("All done.", "NO-CHANGE: it is there") for line in stage.stand.success])
    assert (await stage.call()).declared_no_change == "it is there"


async def test_second_call_in_the_same_folder_starts_afresh(stage: Stage) -> None:
    stage.play()
    first, second = await stage.call(), await stage.call()
    assert replace(first, seconds=0.0) == replace(second, seconds=0.0)
    log = (stage.assignment.folder / "agent.log").read_text().splitlines()
    assert log == list(stage.stand.success)
