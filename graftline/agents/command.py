"""The `command` backend: any executable that reads a prompt and changes the worktree it is started in."""

import shutil
import signal
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from graftline.agents.backend import PROGRESS_CHARS, Assignment, Capabilities, Invocation, Probe, Progress
from graftline.agents.environment import agent_environment
from graftline.agents.last_message import bounded_message, declared_no_change
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.agents.profiles import CommandProfile
from graftline.agents.verdict import DETAIL_CHARS
from graftline.process import Ending, ProcessResult
from graftline.text import plain_end, plain_line

# A program has no notion of a message: its last lines stand for it.
MESSAGE_LINES = 20


class CommandBackend:
    """Runs the profile's command; its exit status is all the evidence there is."""

    type = "command"
    capabilities = Capabilities(converses=False)

    def __init__(self, profile: CommandProfile) -> None:
        self.profile = profile

    @property
    def call_cost_usd(self) -> float | None:
        """What the profile says one call costs."""
        return self.profile.cost_usd

    def provider(self, environ: Mapping[str, str]) -> str:
        """Nobody that graftline knows of."""
        del environ
        return ""

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Whether the program is there; a path relative to the worktree is known only when one exists."""
        program = self.profile.command[0]
        if self._is_in_worktree():
            return Probe(self.type, program, notes=(f"{program} is looked for in each worktree",))
        found = shutil.which(program, path=environ.get("PATH", ""))
        if found is None:
            problem = f"{program!r} is not an executable file on PATH: install it or correct `command` of the profile"
            return Probe(self.type, program, problems=(problem,))
        return Probe(self.type, found)

    def invocation(self, assignment: Assignment) -> Invocation:
        """The command as it is, with the prompt on stdin and in `GRAFTLINE_TASK_PROMPT_FILE`."""
        program, *arguments = self.profile.command
        # Looked up in our PATH: a task may set another one for what the program itself starts.
        found = None if self._is_in_worktree() else shutil.which(program, path=assignment.environ.get("PATH", ""))
        return Invocation(
            argv=(found or program, *arguments),
            env=agent_environment(assignment, self.profile),
            stdin=assignment.prompt.encode(errors="replace"),
        )

    def transcript(self, assignment: Assignment) -> "CommandTranscript":
        """A reader of plain lines."""
        del assignment  # one call's output is like any other's
        return CommandTranscript(self.profile.cost_usd)

    def _is_in_worktree(self) -> bool:
        program = self.profile.command[0]
        return "/" in program and not Path(program).is_absolute()


class CommandTranscript:
    """Keeps the last lines; the exit status decides."""

    def __init__(self, cost_usd: float | None) -> None:
        self._cost_usd = cost_usd
        self._last_lines: deque[str] = deque(maxlen=MESSAGE_LINES)

    def read(self, line: str) -> Progress | None:
        """Every line that says something is progress."""
        if not line.strip():
            return None
        self._last_lines.append(line[:DETAIL_CHARS])
        return Progress(plain_line(line, PROGRESS_CHARS), said=line)

    def outcome(self, result: ProcessResult) -> AgentOutcome:
        """Exit status 0 is success, everything else a failure whose last output is the detail."""
        kind, cause = _judge(result)
        message = bounded_message("\n".join(self._last_lines))
        last_output = plain_end(result.tail, DETAIL_CHARS)
        detail = "" if kind is OutcomeKind.OK else f"{cause}: {last_output}" if last_output else cause
        return AgentOutcome(
            kind=kind,
            detail=detail,
            last_message=message,
            declared_no_change=declared_no_change(message),
            usage=Usage(cost_usd=self._cost_usd),
            exit_status=result.status,
        )


def _judge(result: ProcessResult) -> tuple[OutcomeKind, str]:
    match result.ending:
        case Ending.TIMED_OUT:
            return OutcomeKind.TIMED_OUT, f"ended after {result.seconds:.0f} s, its time limit"
        case Ending.STALLED:
            return OutcomeKind.STALLED, f"ended after {result.seconds:.0f} s: {result.stall}"
        case Ending.EXITED if result.status == 0:
            return OutcomeKind.OK, ""
        case Ending.EXITED if result.status < 0:
            return OutcomeKind.FAILED, f"killed by {signal_name(-result.status)}"
        case Ending.EXITED:
            return OutcomeKind.FAILED, f"exit status {result.status}"


def signal_name(number: int) -> str:
    """The name of a signal, also of one this Python does not know."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
