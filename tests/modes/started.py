"""A run that is carried out in one of the four modes, from its start to what is left of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic, sleep

import pytest

from graftline.journal import Entry, EventKind, Journal
from graftline.report.files import read_report
from graftline.report.model import Report
from graftline.store import RunFolder, find_runs, repository_store
from tests.conftest import run_git
from tests.leftovers import PROC, processes_below
from tests.modes.api import FINAL, PrefectApi, Row

PATIENCE_SECONDS = 100
"""How long a test waits for what it does not measure."""
LOOK_SECONDS = 0.05
ASK_SECONDS = 0.5
"""How often a test asks a server: each answer costs the two cores what the runs it waits for need themselves."""


class Mode(StrEnum):
    """How a run comes to be carried out."""

    LOCAL = "local"
    API = "api"
    SERVED = "served"
    WORKER = "worker"

    @property
    def is_script(self) -> bool:
        """Whether a person's own `graftline run` carries it out."""
        return self in (Mode.LOCAL, Mode.API)


DEPLOYMENTS = {Mode.SERVED: "served", Mode.WORKER: "build"}


@dataclass(frozen=True)
class Installation:
    """Where graftline and Prefect are at home in these tests: their servers, one state directory, one environment."""

    local: PrefectApi
    api: PrefectApi
    state_dir: Path
    environment: Mapping[str, str]

    def env(self, mode: Mode) -> dict[str, str]:
        """The environment of a mode's processes; only the local mode finds its server by itself."""
        return {**self.environment, **({} if mode is Mode.LOCAL else {"PREFECT_API_URL": self.api.url})}

    def start(self, mode: Mode, repository: Path, *, deployment: str = "") -> "Started":
        """Start a run of the repository's plan, of the mode's own deployment when none is named."""
        if not mode.is_script:
            request: Row = {"repository": str(repository), "plan_file": "plan.yaml"}
            return Started(self, mode, repository, run_id=self.api.start_run(deployment or DEPLOYMENTS[mode], request))
        with (repository.parent / "stderr").open("wb") as stderr, (repository.parent / "stdout").open("wb") as stdout:
            script = subprocess.Popen(
                [sys.executable, "-P", "-m", "graftline", "run", "plan.yaml"],
                cwd=repository,
                env=self.env(mode),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        return Started(self, mode, repository, script=script)


@dataclass
class Started:
    """A run under way."""

    installation: Installation
    mode: Mode
    repository: Path
    script: "subprocess.Popen[bytes] | None" = None
    run_id: str = ""

    @property
    def api(self) -> PrefectApi:
        """The server it is recorded on."""
        return self.installation.local if self.mode is Mode.LOCAL else self.installation.api

    @property
    def folder(self) -> RunFolder:
        """Where it keeps its records; there is one run in the repository."""
        store = repository_store(self.installation.state_dir, str((self.repository / ".git").resolve()))
        (folder,) = find_runs(store)
        return folder

    @property
    def worktrees(self) -> Path:
        """The folder its agents and tests work in."""
        return repository_store(self.installation.state_dir, str((self.repository / ".git").resolve())).worktrees

    @property
    def entries(self) -> list[Entry]:
        """Its journal so far."""
        return Journal.open(self.folder.journal).entries()

    def entry(self, event: EventKind) -> Entry:
        """The first journal entry of a kind."""
        return next(entry for entry in self.entries if entry.event is event)

    @property
    def orchestrator(self) -> int:
        """The process that carries the run out: graftline itself, or the flow-run process."""
        return int(str(self.entry(EventKind.RUN_PREPARED).data["pid"]))

    def wait_until(
        self,
        what: str,
        is_so: Callable[[], bool],
        *,
        seconds: float = PATIENCE_SECONDS,
        every_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Wait for something to become so while the run goes on; `seconds` where a promise says how soon."""
        deadline = monotonic() + seconds
        while not is_so():
            if monotonic() > deadline:
                pytest.fail(f"{self.mode}: not {what} within {seconds:.0f} s\n{self.told()}")
            sleep(every_seconds)

    def wait_for_state(self, wanted: str) -> None:
        """Wait for the flow run's state to be of a type."""
        self.wait_until(wanted, lambda: self.api.state_of(self.run_id) == wanted, every_seconds=ASK_SECONDS)

    def wait_for_rows(self) -> None:
        """Wait until the server has recorded how everything ended that the run consisted of."""

        def are_final() -> bool:
            return all(state in FINAL for state in self.api.tree_of(self.run_id).values())

        self.wait_until("recorded", are_final, every_seconds=ASK_SECONDS)

    def finish(self) -> int | None:
        """Wait for the end of the process that carries the run out; the exit code of a script."""
        if self.script is not None:
            self.wait_until("ended", lambda: self.script is None or self.script.poll() is not None)
            self.run_id = self.folder.path.name
            return self.script.returncode
        self.wait_until("ended", lambda: not is_alive(self.orchestrator))
        return None

    def graftline(self, *arguments: str) -> str:
        """What a command of a person's says on stderr; its exit code is 0."""
        command = [sys.executable, "-P", "-m", "graftline", *arguments]
        env = self.installation.env(self.mode)
        done = subprocess.run(command, cwd=self.repository, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stderr

    def find_dead(self) -> None:
        """Give the next command after a kill; once more while another run's command looks after this one already."""

        def is_told() -> bool:
            self.graftline("status", self.run_id)
            return self.api.state_of(self.run_id) == "CRASHED"

        self.wait_until("known to be dead", is_told)

    def told(self) -> str:
        """Everything that helps to see why a test failed."""
        said = [path.read_text() for path in (self.repository.parent / "stderr",) if path.exists()]
        if self.run_id:
            said.append(str(self.api.row(f"/flow_runs/{self.run_id}")["state"]))
        try:
            said += [entry.model_dump_json() for entry in self.entries]
        except ValueError:
            said.append("no journal yet")
        for pid in self.processes():
            said += [(PROC / str(pid) / name).read_text() for name in ("cmdline", "stat", "environ")]
        return "\n".join(said)

    def processes(self) -> set[int]:
        """What still runs in the run's worktrees."""
        return processes_below(self.worktrees)

    def kill_everything(self) -> None:
        """Leave nothing running after a test that failed."""
        if self.script is not None:
            self.script.kill()
            self.script.wait()
        elif self.worktrees.exists() and is_alive(self.orchestrator):
            os.kill(self.orchestrator, signal.SIGKILL)
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    @property
    def report(self) -> Report:
        """The report of the run that has ended."""
        report = read_report(self.folder)
        assert report is not None, self.told()
        return report

    def salvaged(self) -> dict[str, str]:
        """What salvage refs keep of each task: the file it had written."""
        return {
            one.task: run_git(self.folder.store.hub, "show", f"{one.ref}:{one.task}.txt") for one in self.report.salvage
        }


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
