"""The command backend: the exit status is its evidence, its last lines are its message."""

import signal
from pathlib import Path

import pytest

from graftline.agents.backend import Assignment
from graftline.agents.command import MESSAGE_LINES, CommandBackend, CommandTranscript
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.agents.profiles import CommandProfile
from graftline.process import Ending, ProcessResult

K = OutcomeKind


def judge(status: int = 0, ending: Ending = Ending.EXITED, tail: str = "", lines: tuple[str, ...] = ()) -> AgentOutcome:
    transcript = CommandTranscript(cost_usd=0.5)
    for line in lines:
        transcript.read(line)
    return transcript.outcome(
        ProcessResult(status, ending, seconds=3.0, tail=tail, stall="it had printed nothing for 2 s")
    )


def test_exit_status_zero_is_success() -> None:
    assert judge(lines=("one", "  ", "two", ""), tail="one\ntwo\n") == AgentOutcome(
        kind=K.OK, last_message="one\ntwo", usage=Usage(cost_usd=0.5), exit_status=0
    )


@pytest.mark.parametrize(
    ("status", "ending", "kind", "detail"),
    [
        (3, Ending.EXITED, K.FAILED, "exit status 3: boom"),
        (-signal.SIGKILL, Ending.EXITED, K.FAILED, "killed by SIGKILL: boom"),
        (-63, Ending.EXITED, K.FAILED, "killed by signal 63: boom"),
        (-signal.SIGTERM, Ending.TIMED_OUT, K.TIMED_OUT, "ended after 3 s, its time limit: boom"),
        (0, Ending.TIMED_OUT, K.TIMED_OUT, "ended after 3 s, its time limit: boom"),
        (0, Ending.STALLED, K.STALLED, "ended after 3 s: it had printed nothing for 2 s: boom"),
    ],
)
def test_everything_else_is_a_failure_that_says_why(
    status: int, ending: Ending, kind: OutcomeKind, detail: str
) -> None:
    outcome = judge(status, ending, tail="\x1b[31mboom\x1b[0m\n")
    assert (outcome.kind, outcome.detail, outcome.usage.cost_usd) == (kind, detail, 0.5)


def test_last_lines_stand_for_a_message() -> None:
    outcome = judge(lines=(*(f"line {n}" for n in range(1000)), "NO-CHANGE: already there"))
    assert outcome.last_message.splitlines()[0] == f"line {1000 - MESSAGE_LINES + 1}"
    assert outcome.declared_no_change == "already there"


def test_declaration_long_before_the_end_does_not_count() -> None:
    assert judge(lines=("NO-CHANGE: not yet", *["work"] * MESSAGE_LINES)).declared_no_change is None


async def test_probe_finds_the_program(tmp_path: Path) -> None:
    (tmp_path / "agent").write_text("#!/bin/sh\n")
    (tmp_path / "agent").chmod(0o755)
    found = await CommandBackend(CommandProfile(command=["agent"])).probe({"PATH": str(tmp_path)})
    missing = await CommandBackend(CommandProfile(command=["agent-x"])).probe({"PATH": str(tmp_path)})
    in_worktree = await CommandBackend(CommandProfile(command=["bin/agent"])).probe({"PATH": str(tmp_path)})
    assert (found.binary, found.problems) == (str(tmp_path / "agent"), ())
    assert ["'agent-x' is not an executable file on PATH" in problem for problem in missing.problems] == [True]
    assert (in_worktree.problems, in_worktree.notes) == ((), ("bin/agent is looked for in each worktree",))


def test_task_path_does_not_choose_the_program(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "agent").write_text("#!/bin/sh\n")
        (tmp_path / name / "agent").chmod(0o755)
    assignment = Assignment(
        prompt="",
        worktree=tmp_path,
        folder=tmp_path,
        facts={},
        env={"PATH": str(tmp_path / "theirs")},
        environ={"PATH": str(tmp_path / "ours")},
    )
    call = CommandBackend(CommandProfile(command=["agent", "--fast"])).invocation(assignment)
    assert call.argv == (str(tmp_path / "ours" / "agent"), "--fast")
    assert call.env["PATH"] == str(tmp_path / "theirs")
