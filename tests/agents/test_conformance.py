"""What every agent backend promises, shown with real processes: one suite, all backends.

A backend joins by a `Stand` (`tests/agents/stands`): a program that plays its CLI, how that CLI tells of success, and
recordings of the real one. What it is called with is written down in `golden`; `GOLDEN=write` writes it anew.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import graftline
from graftline.agents.backend import AgentBackend, Assignment
from graftline.agents.calls import call_agent
from graftline.agents.notices import Notice
from graftline.agents.outcome import AgentOutcome, OutcomeKind
from graftline.errors import CannotRunError
from graftline.process import Ending, Limits, ProcessIdentity, ProcessResult
from graftline.stalls import StallLimit
from tests.agents.stands import STANDS
from tests.agents.stands.cases import CASES
from tests.agents.stands.stand import SECRET, Recorded, Stand

STREAMS = Path(__file__).parent / "streams"
GOLDEN = Path(__file__).parent / "golden"
PACKAGE = Path(graftline.__file__).parent
PATIENT = Limits(wall_seconds=60, grace_seconds=0.2)


@dataclass
class Stage:
    """One backend, its stand-in CLI and the folders of one attempt."""

    stand: Stand
    program: Path
    assignment: Assignment
    seen: Path
    progress: list[str]
    notices: list[Notice]
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
            on_notice=self.notices.append,
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
        environ={"PATH": "/usr/bin:/bin", "GITHUB_TOKEN": SECRET, "AGENT_KEY": SECRET, "FROM_US": "no"},
    )
    stand = STANDS[request.param]
    return Stage(stand, tmp_path / "cli", assignment, tmp_path / "seen.json", progress=[], notices=[], started=[])


async def test_success_is_judged_and_told_whole(stage: Stage) -> None:
    stage.play()
    outcome = await stage.call()
    assert (outcome.kind, outcome.detail, outcome.exit_status) == (OutcomeKind.OK, "", 0)
    assert (outcome.backend, outcome.last_message) == (stage.backend.type, stage.stand.last_message)
    assert outcome.usage.cost_usd == stage.stand.cost_usd
    assert outcome.seconds > 0
    assert stage.progress[0] == "working"
    assert len(stage.started) == 1


async def test_success_with_a_question_is_stuck(stage: Stage) -> None:
    stage.play(lines=[line.replace("All done.", "STUCK: left or right?") for line in stage.stand.success])
    outcome = await stage.call()
    assert (outcome.kind, outcome.detail, outcome.exit_status) == (OutcomeKind.STUCK, "left or right?", 0)
    assert outcome.usage.cost_usd == stage.stand.cost_usd


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
    stage.play(lines=[stage.stand.version_output])
    probe = await stage.backend.probe(stage.assignment.environ)
    assert (probe.problems, probe.notes) == ((), tuple(stage.stand.notes))


async def test_version_that_nobody_tried_is_told_and_no_reason_to_refuse(stage: Stage) -> None:
    if not stage.backend.capabilities.converses:
        return
    stage.play(lines=["999.0.1"])
    probe = await stage.backend.probe(stage.assignment.environ)
    assert (probe.version, probe.problems) == ("999.0.1", ())
    assert "version 999.0.1 is untested" in probe.notes[0]


async def test_silence_ends_only_agents_that_report_what_they_do(stage: Stage) -> None:
    # A program that works for long without a word is no worse for it.
    stage.play("time.sleep(3)")
    never = StallLimit(0.5, lambda: None, "it had done nothing")
    outcome = await stage.call(replace(PATIENT, stall_seconds=0.5, stalls=(never,)))
    expected = OutcomeKind.OK if not stage.backend.capabilities.converses else OutcomeKind.STALLED
    assert outcome.kind is expected


async def test_what_it_is_called_with_is_what_was_verified(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call's argv, environment and stdin, of a new session with every option that graftline itself decides."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    whole = replace(stage.assignment, budget_usd=1.5, session_id="00000000-0000-4000-8000-000000000007")
    (stage.assignment.worktree / "CLAUDE.md").write_text("Use tabs.\n")
    call = stage.backend.invocation(whole)
    files = {str(path): content.decode() for path, content in call.files.items()}
    facts = {"argv": call.argv, "env": call.env, "stdin": call.stdin.decode(), **({"files": files} if files else {})}
    text = json.dumps(facts, indent=2, sort_keys=True)
    places = {stage.program: "CLI", whole.folder: "FOLDER", whole.worktree: "WORKTREE", PACKAGE: "GRAFTLINE"}
    for real, name in places.items():
        text = text.replace(str(real), name)
    golden = GOLDEN / f"{stage.backend.type}.json"
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(f"{text}\n")
    assert text == golden.read_text().rstrip("\n")


RECORDINGS = [
    pytest.param(kind, name, expected, id=f"{kind}-{name}")
    for kind, stand in STANDS.items()
    for name, expected in stand.recorded.items()
]


@pytest.mark.parametrize(("kind", "name", "expected"), RECORDINGS)
def test_recorded_call_of_the_real_cli_is_judged_right(
    kind: str, name: str, expected: Recorded, tmp_path: Path
) -> None:
    outcome = judge(kind, recording(kind, name), expected.status, tmp_path, stderr=recorded_stderr(kind, name))
    assert (outcome.kind, outcome.exit_status) == (expected.kind, expected.status), outcome.detail
    assert outcome.detail == expected.detail if expected.kind is OutcomeKind.OK else expected.detail in outcome.detail
    assert expected.usage is None or outcome.usage == expected.usage
    assert not expected.session or outcome.session_id == expected.session


@pytest.mark.parametrize("kind", STANDS)
def test_every_case_is_recorded_or_said_to_be_lacking(kind: str) -> None:
    stand = STANDS[kind]
    assert set(CASES) - set(stand.recorded) == set(stand.lacking)


@pytest.mark.parametrize("kind", [kind for kind, stand in STANDS.items() if "success" in stand.recorded])
def test_recorded_success_without_its_end_is_none(kind: str, tmp_path: Path) -> None:
    whole = recording(kind, "success")
    assert judge(kind, whole[: len(whole) // 2], -9, tmp_path).kind is OutcomeKind.INTERRUPTED
    assert judge(kind, whole[: len(whole) // 2], 0, tmp_path).kind is not OutcomeKind.OK


def recording(kind: str, name: str) -> list[str]:
    """The lines that the real CLI printed."""
    (file,) = [path for path in (STREAMS / kind).glob(f"{name}.*") if path.suffix in (".jsonl", ".txt")]
    return file.read_text().splitlines()


def recorded_stderr(kind: str, name: str) -> str:
    """What it wrote on stderr."""
    file = STREAMS / kind / f"{name}.stderr"
    return file.read_text() if file.exists() else ""


def judge(kind: str, lines: Sequence[str], status: int, folder: Path, *, stderr: str = "") -> AgentOutcome:
    """What a backend makes of a call that printed this."""
    assignment = Assignment(prompt="p", worktree=folder, folder=folder, facts={}, env={}, environ={})
    transcript = STANDS[kind].make(program=folder / "cli").transcript(assignment)
    for line in lines:
        transcript.read(line)
    ended = ProcessResult(status=status, ending=Ending.EXITED, seconds=2.0, tail=stderr, stderr_tail=stderr)
    return transcript.outcome(ended)


async def test_declared_no_change_is_found(stage: Stage) -> None:
    stage.play(lines=[line.replace("All done.", "NO-CHANGE: it is there") for line in stage.stand.success])
    assert (await stage.call()).declared_no_change == "it is there"


async def test_second_call_in_the_same_folder_starts_afresh(stage: Stage) -> None:
    stage.play()
    first, second = await stage.call(), await stage.call()
    assert replace(first, seconds=0.0) == replace(second, seconds=0.0)
    log = (stage.assignment.folder / "agent.log").read_text().splitlines()
    assert log == list(stage.stand.success)
