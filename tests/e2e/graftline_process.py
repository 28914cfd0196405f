"""Graftline as a person starts it: a real process, in a repository, with the real Claude Code CLI behind it."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graftline.report.model import Report
from graftline.store import RunFolder, find_run

API_KEY = "sk-ant-e2e-0c93f1d7a85b4e62b1f04d7786c2a9e5"
MODEL = "claude-sonnet-4-5"

# Far more than a run takes; it only keeps one that hangs from hanging the suite.
PATIENCE_SECONDS = 120

_CHECKOUT = Path(__file__).parents[2]
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Person",
    "GIT_AUTHOR_EMAIL": "person@example.com",
    "GIT_COMMITTER_NAME": "Person",
    "GIT_COMMITTER_EMAIL": "person@example.com",
}


@dataclass(frozen=True)
class Finished:
    """How a graftline process ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> Report:
        """What `--json` printed, which is nothing but the report."""
        assert self.stdout, f"no report; exit status {self.status}, stderr:\n{self.stderr}"
        return Report.model_validate_json(self.stdout)


@dataclass(frozen=True)
class RecordedClaude:
    """The Claude Code CLI behind a script that notes each command line it is started with."""

    path: Path
    calls: Path

    @classmethod
    def around(cls, binary: Path, folder: Path) -> "RecordedClaude":
        """Make the script in a folder of its own."""
        calls = folder / "calls"
        calls.mkdir(parents=True)
        path = folder / "claude"
        note = f"printf '%s\\0' \"$@\" > {shlex.quote(str(calls))}/$$"
        path.write_text(f'#!/bin/sh\n{note}\nexec {shlex.quote(str(binary))} "$@"\n')
        path.chmod(0o755)
        return cls(path, calls)

    def command_lines(self) -> list[list[str]]:
        """The arguments of every call that was given a task, in no order."""
        lines = [file.read_text().split("\0")[:-1] for file in self.calls.iterdir()]
        return [line for line in lines if "-p" in line]


@dataclass(frozen=True)
class Graftline:
    """Starts graftline with an environment given whole: a state directory, a home, a key and a model of the test's."""

    claude: RecordedClaude
    state_dir: Path
    home: Path
    model_url: str

    def start(self, repository: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start it in a repository, in a session of its own."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(_CHECKOUT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GRAFTLINE_STATE_DIR": str(self.state_dir),
            "GRAFTLINE_AGENT__BINARY": str(self.claude.path),
            "GRAFTLINE_AGENT__MODEL": MODEL,
            "GRAFTLINE_TEST__PYTHON": sys.executable,
            "ANTHROPIC_BASE_URL": self.model_url,
            "ANTHROPIC_API_KEY": API_KEY,
            **variables,
        }
        return subprocess.Popen(
            # -P: what lies in the repository is not imported
            [sys.executable, "-P", "-m", "graftline", *arguments],
            cwd=repository,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start_plan(self, repository: Path, plan: str, *options: str, **variables: str) -> subprocess.Popen[str]:
        """Start a run of a plan, written in Markdown, on the kept server; it prints its report as JSON."""
        file = self.home / f"{repository.name}.md"
        file.write_text(plan)
        return self.start(repository, "run", str(file), "--json", "--keep-server", *options, **variables)

    def run_plan(self, repository: Path, plan: str, *options: str, **variables: str) -> Finished:
        """Run a plan to its end."""
        return finish(self.start_plan(repository, plan, *options, **variables))

    def folder_of(self, report: Report) -> RunFolder:
        """Where a run keeps its records."""
        return find_run(self.state_dir, report.flow_run_id, None)


def finish(process: subprocess.Popen[str]) -> Finished:
    """Wait for graftline to end."""
    try:
        stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        # Not KILL at once: its agents would be left running.
        os.killpg(process.pid, signal.SIGTERM)
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
    return Finished(process.returncode, stdout, stderr)


def new_repository(folder: Path, files: Mapping[str, str]) -> Path:
    """A repository with one commit on `main`."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "First")
    return folder


def git(folder: Path, *arguments: str) -> str:
    """What git says there, whoever's home it is."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **_IDENTITY}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()
