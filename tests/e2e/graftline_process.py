"""Graftline as a person starts it: a real process, in a repository, with real agent CLIs behind it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from graftline.report.model import Report
from graftline.store import RunFolder, find_run
from tests.e2e.clis import CLIS, Cli
from tests.model_server import ModelServer, RequestRecord

# Far more than a run takes; it only keeps one that hangs from hanging the suite.
PATIENCE_SECONDS = 200

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
class Agents:
    """The agent CLIs, each behind a script that notes the command lines it is started with, and their model."""

    folder: Path
    server: ModelServer

    @classmethod
    def around(cls, programs: Mapping[Cli, Path], folder: Path, server: ModelServer) -> "Agents":
        """Make the scripts in a folder of their own."""
        agents = cls(folder, server)
        for cli, program in programs.items():
            calls = agents.calls(cli)
            calls.mkdir(parents=True)
            note = f"printf '%s\\0' \"$@\" > {shlex.quote(str(calls))}/$$"
            script = agents.script(cli)
            script.write_text(f'#!/bin/sh\n{note}\nexec {shlex.quote(str(program))} "$@"\n')
            script.chmod(0o755)
        return agents

    def script(self, cli: Cli) -> Path:
        """What graftline starts in the CLI's place."""
        return self.folder / cli.type

    def calls(self, cli: Cli) -> Path:
        """Where the script notes its command lines."""
        return self.folder / f"{cli.type}-calls"

    def command_lines(self, cli: Cli) -> list[list[str]]:
        """The arguments of every call that was more than a question for the version, in no order."""
        lines = [file.read_text().split("\0")[:-1] for file in self.calls(cli).iterdir()]
        return [line for line in lines if line != ["--version"]]

    def profiles(self) -> str:
        """A profile for each CLI, as a part of graftline.toml; every CLI has an address of the model for itself."""
        lines: list[str] = []
        for cli in CLIS:
            url = f"{self.server.url_for(cli.type)}{cli.path}"
            fields = {"type": cli.type, "binary": str(self.script(cli)), "model": cli.model, "base_url": url}
            if not cli.key_variable:
                fields["api_key"] = cli.api_key
            lines.append(f"[agents.{cli.profile}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in {**fields, **cli.settings}.items()]
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Graftline:
    """Starts graftline with an environment given whole: a state directory, a home, and a key for every CLI."""

    agents: Agents
    state_dir: Path
    home: Path

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
            "GRAFTLINE_TEST__PYTHON": sys.executable,
            **{cli.key_variable: cli.api_key for cli in CLIS if cli.key_variable},
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

    def start_request(self, repository: Path, words: str, *options: str, **variables: str) -> subprocess.Popen[str]:
        """Start a run of a request in words, on the kept server; it prints its report as JSON."""
        return self.start(repository, "run", "-p", words, "--json", "--keep-server", *options, **variables)

    def run_plan(self, repository: Path, plan: str, *options: str, **variables: str) -> Finished:
        """Run a plan to its end."""
        return finish(self.start_plan(repository, plan, *options, **variables))

    def folder_of(self, report: Report) -> RunFolder:
        """Where a run keeps its records."""
        return find_run(self.state_dir, report.flow_run_id, None)


def wait_for_request(
    process: subprocess.Popen[str], server: ModelServer, condition: Callable[[RequestRecord], bool]
) -> None:
    """Wait until somebody asks the model that; fails when the graftline that was to see to it has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(TimeoutError):
            server.wait_for(condition, timeout_seconds=1)
            return
    process.terminate()
    pytest.fail(f"nobody asked the model that\n{finish(process).stderr}")


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


def new_repository(folder: Path, files: Mapping[str, str], settings: str = "") -> Path:
    """A repository of these files, with one commit on `main`."""
    folder.mkdir(parents=True)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return make_repository_of(folder, settings)


def make_repository_of(folder: Path, settings: str = "") -> Path:
    """Make a folder a repository with one commit on `main`; settings, which may hold a key, are in no commit."""
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "First")
    if settings:
        (folder / "graftline.toml").write_text(settings)
        (folder / ".git" / "info" / "exclude").write_text("/graftline.toml\n")
    return folder


def git(folder: Path, *arguments: str) -> str:
    """What git says there, whoever's home it is."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **_IDENTITY}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()
