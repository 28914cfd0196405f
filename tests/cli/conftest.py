"""Fixtures that drive the command line: real processes, in repositories of a person's."""

import json
import os
import select
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml

from graftline.demo import agent
from tests.conftest import MakeRepository, run_git

ROOT = Path(__file__).parents[2]
SECONDS = 100
"""How long a process may take before the test gives up: far longer than it does."""
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})

Step = dict[str, object]
NO_STEPS: Mapping[str, Sequence[Step]] = MappingProxyType({})


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Project:
    """A repository of a person's, a folder outside of it for plans, and the commands given in it."""

    path: Path
    outside: Path
    state_dir: Path

    @property
    def plan(self) -> Path:
        """The plan file, outside the repository."""
        return self.outside / "plan.yaml"

    def write_plan(
        self,
        tasks: Sequence[Mapping[str, object]],
        script: Mapping[str, Sequence[Step]],
        heals: Mapping[str, Sequence[Step]] = NO_STEPS,
    ) -> Path:
        """Write a plan, and what its agents do."""
        document = {
            "version": "1",
            "title": "A plan",
            "tasks": [{"prompt": f"do {task['id']}", **task} for task in tasks],
        }
        self.plan.write_text(yaml.safe_dump(document, sort_keys=False))
        self.write_script(script, heals)
        return self.plan

    def write_script(
        self, script: Mapping[str, Sequence[Step]], heals: Mapping[str, Sequence[Step]] = NO_STEPS
    ) -> None:
        """Write what the agents do."""
        parts = {"tasks": script, "heals": heals}
        plain = {name: {task: list(steps) for task, steps in part.items()} for name, part in parts.items()}
        (self.outside / "script.yaml").write_text(yaml.safe_dump(plain))

    def env(self, variables: Mapping[str, str] = NO_VARIABLES) -> dict[str, str]:
        """The environment a command runs in."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "GRAFTLINE_STATE_DIR": str(self.state_dir), **variables}

    def start(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        variables: Mapping[str, str] = NO_VARIABLES,
    ) -> "subprocess.Popen[str]":
        """Start `graftline` in the repository, or Python on a file when the first argument is one."""
        first = [] if str(arguments[0]).endswith(".py") else ["-m", "graftline"]
        return subprocess.Popen(
            [sys.executable, *first, *map(str, arguments)],
            cwd=cwd or self.path,
            env=self.env(variables),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )

    def run(self, *arguments: str | Path, cwd: Path | None = None, **variables: str) -> Ended:
        """Run `graftline` to its end."""
        return finish(self.start(*arguments, cwd=cwd, variables=variables))

    def git(self, *arguments: str) -> str:
        """A git command of the person's."""
        return run_git(self.path, *arguments)

    def snapshot(self) -> dict[str, bytes]:
        """Every byte of the repository, and whether the state directory was made."""
        files = {str(path.relative_to(self.path)): path.read_bytes() for path in self.path.rglob("*") if path.is_file()}
        return files | {"state directory": bytes(self.state_dir.exists())}


def finish(process: "subprocess.Popen[str]") -> Ended:
    """Wait for a process, and take what it has said since it was last read."""
    try:
        stdout, stderr = process.communicate(timeout=SECONDS)
    finally:
        process.kill()  # does nothing to one that has ended
    return Ended(process.returncode, stdout or "", stderr or "")


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """What a process says on stderr up to a line with the text in it."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return said
    pytest.fail(f"it ended with {process.wait()} and without {text!r}:\n{said}")


def write(path: str, text: str = "content\n") -> Step:
    """A step that writes a file."""
    return {"write": {"path": path, "text": text}}


def shell(line: str) -> Step:
    """A step that runs a shell command in the worktree."""
    return {"run": ["sh", "-ec", line]}


@dataclass(frozen=True)
class Meeting:
    """Where an agent and a test wait for each other: two pipes with names."""

    started: Path
    go_on: Path

    @classmethod
    def at(cls, folder: Path) -> "Meeting":
        """Make the pipes."""
        meeting = cls(folder / "started", folder / "go on")
        os.mkfifo(meeting.started)
        os.mkfifo(meeting.go_on)
        return meeting

    @property
    def step(self) -> Step:
        """What the agent does: it says that it is there, and waits."""
        return shell(f"echo $PPID > {shlex.quote(str(self.started))}; read go < {shlex.quote(str(self.go_on))}")

    def wait(self) -> int:
        """Wait for the agent; its process id."""
        descriptor = os.open(self.started, os.O_RDWR)  # which waits for nobody, and sees no end
        try:
            assert select.select([descriptor], [], [], SECONDS)[0], "no agent came"
            return int(os.read(descriptor, 100))
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Let the agent go on."""
        self.go_on.write_text("go\n")


MakeProject = Callable[..., Project]


@pytest.fixture
def make_project(make_repository: MakeRepository, tmp_path: Path) -> MakeProject:
    """Make a repository with a scripted agent and a test command that is green until somebody adds `broken.txt`.

    Several of one test are kept apart by `folder`.
    """

    def make(state_dir: Path, folder: str = ".") -> Project:
        outside = tmp_path / folder / "outside the repository"
        outside.mkdir(parents=True)
        command = [sys.executable, agent.__file__, str(outside / "script.yaml")]
        settings = (
            '[agent]\nbackend = "scripted"\n'
            f'[agents.scripted]\ntype = "command"\ncommand = {json.dumps(command)}\ncost_usd = 0.01\n'
            '[test]\ncommand = ["sh", "-c", "! test -e broken.txt"]\n[retries]\nmax_per_task = 0\n'
        )
        path = make_repository({"graftline.toml": settings, "src/notes.txt": "one\n"}, name=f"{folder}/project")
        project = Project(path, outside, state_dir)
        project.write_plan([{"id": "only"}], {"only": [write("new.txt")]})
        return project

    return make


@pytest.fixture
def project(make_project: MakeProject, tmp_path: Path) -> Project:
    """A project whose state directory does not exist: for commands that must not make one."""
    return make_project(tmp_path / "no state")


@pytest.fixture
def served_project(make_project: MakeProject, served_state_dir: Path) -> Project:
    """A project whose runs find a Prefect server that is up."""
    return make_project(served_state_dir)
