"""Every error graftline raises on purpose, and the exit code each one ends with.

    GraftlineError                      4  an internal defect, unless a subclass says otherwise
    ├── UserError                       2  input, configuration, repository or target to correct
    │   ├── ManifestError                  the plan file has problems; all of them are listed
    │   ├── SettingsError                  graftline.toml, GRAFTLINE_* or a flag is wrong
    │   ├── RepositoryError                the repository or the target branch cannot be used as it is
    │   ├── UnknownRunError                no run, or no task in it, answers to that name
    │   └── RunBusyError                   another process carries out the run
    ├── CannotRunError                  3  something this machine lacks
    │   ├── GitMissingError
    │   ├── AgentUnavailableError          an agent CLI is missing, too old or not logged in
    │   └── ServerUnavailableError         no Prefect server answers, or not any more
    ├── PlannerError                   1  the planner was asked, and no plan came of it
    │   ├── PlannerUnavailableError     3  nobody can be asked for a plan, or whoever could be refuses to answer
    │   └── UselessAnswersError         1  the planner answered as often as it may, and nothing can be made of it
    ├── LeaseLostError                  4  another process has taken over the run that this one carried out
    └── GitFailedError                  4  a git command of ours failed where it should not

A failed task, a conflict or red tests are not errors: they are outcomes, and the report carries them.
A message says what happened, where (file, line, key, task) and what to do.
"""

from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with."""

    SUCCESS = 0
    WORK_FAILED = 1
    BAD_INPUT = 2
    CANNOT_RUN = 3
    DEFECT = 4
    SIGINT = 130
    SIGTERM = 143


class GraftlineError(Exception):
    """Base of all errors that graftline raises on purpose."""

    exit_code: ExitCode = ExitCode.DEFECT


class UserError(GraftlineError):
    """Something the person who started the command can correct."""

    exit_code = ExitCode.BAD_INPUT


class SettingsError(UserError):
    """A setting is unknown, has the wrong type or contradicts another; the message names key and place."""


class RepositoryError(UserError):
    """The repository or its target branch cannot be used as it is."""


class UnknownRunError(UserError):
    """No run, or no task of a run, answers to the given name."""


class RunBusyError(UserError):
    """Another process carries out the run; the message says which."""


class PlannerError(GraftlineError):
    """No plan came of a request, or no money is left to ask for one; the message names everything that is wrong."""

    exit_code = ExitCode.WORK_FAILED


class PlannerUnavailableError(PlannerError):
    """Nobody can be asked for a plan: no key and no CLI, credentials that are refused, a provider that stays away."""

    exit_code = ExitCode.CANNOT_RUN


class UselessAnswersError(PlannerError):
    """The planner answered as often as it is asked, and nothing can be made of its answers."""


class LeaseLostError(GraftlineError):
    """Another process has taken over the run that this one carried out."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a plan file."""

    message: str
    file: str = ""
    line: int | None = None
    task: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        subject = f"task {self.task!r}: " if self.task else ""
        return f"{place}: {subject}{self.message}" if place else f"{subject}{self.message}"


class ManifestError(UserError):
    """A plan file has problems; `problems` holds every one of them, in file order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__(problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = "1 problem in the plan:" if count == 1 else f"{count} problems in the plan:"
        return "\n".join([head, *(f"  {problem}" for problem in self.problems)])


class CannotRunError(GraftlineError):
    """Something this machine lacks; the message names it and how to get it."""

    exit_code = ExitCode.CANNOT_RUN


class GitMissingError(CannotRunError):
    """No usable git on PATH."""


class AgentUnavailableError(CannotRunError):
    """An agent CLI is missing, unusable or not logged in."""


class ServerUnavailableError(CannotRunError):
    """No Prefect server answers and none could be started, or the one of a run has gone and stays away."""


class GitFailedError(GraftlineError):
    """A git command failed where it should not; carries what is needed to see why."""

    def __init__(self, arguments: tuple[str, ...], status: int, stderr: str) -> None:
        self.arguments = arguments
        self.status = status
        self.stderr = stderr
        super().__init__(arguments, status, stderr)

    def __str__(self) -> str:
        return f"git {' '.join(self.arguments)} ended with {self.status}: {self.stderr.strip()}"
