"""Fixtures that run plans through the real pipeline: real git, real processes, the real flow on a real Prefect server.

    async def test_something(project: Project) -> None:
        built = await project.build([task("greet")], {"greet": [write("greet.py", "x = 1")]})
        assert built.report.state is RunState.LANDED

Prefect is imported by the fixtures and not by this module: it reads its settings when it is imported.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
import yaml

from graftline.demo import agent
from graftline.git.command import git
from graftline.journal import Entry, EventKind, Journal
from graftline.ledger import Account, Ledger
from graftline.opening import enter_run
from graftline.plan import Plan, TaskSpec
from graftline.report.files import read_report
from graftline.report.model import Report, TaskReport
from graftline.request import BuildRequest
from graftline.run import Run
from graftline.store import RunFolder, repository_store, state_directory
from tests.conftest import MakeRepository, run_git

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

Step = dict[str, object]
Steps = Sequence[Step] | Mapping[int, Sequence[Step]]
Script = Mapping[str, Steps]
Tables = Mapping[str, Mapping[str, object]]

runs_flows = [pytest.mark.prefect, pytest.mark.asyncio(loop_scope="session")]
"""The marks of a module whose tests run flows: Prefect keeps its connections open for as long as their event loop."""

FILES = {
    "calc/__init__.py": "",
    "calc/adding.py": "def add(a, b):\n    return a + b\n",
    "tests/test_adding.py": "from calc.adding import add\n\n\ndef test_adds():\n    assert add(2, 3) == 5\n",
    "notes.txt": "one\ntwo\nthree\nfour\nfive\n",
    ".gitignore": "__pycache__/\n",
}
SETTINGS: Tables = {
    "agent": {"backend": "scripted"},
    "agents.scripted": {"type": "command", "cost_usd": 0.0},
    "test": {"command": ["sh", "-c", "! test -e broken.txt"]},
    "retries": {"max_per_task": 0},
    "timeouts": {"task_seconds": 60.0, "run_seconds": 120.0},
}
# Without the plugins of our own test session, which take longer to load than these tests to run.
_PLUGINS = ("hypothesispytest", "asyncio", "pytest_cov", "anyio", "pytest_jsonreport", "timeout", "metadata")
_WITHOUT = [option for plugin in _PLUGINS for option in ("-p", f"no:{plugin}")]
PYTEST: Tables = {"test": {"command": [sys.executable, "-m", "pytest", *_WITHOUT]}}


def task(task_id: str, *after: str, **fields: object) -> TaskSpec:
    """A task that depends on the named ones."""
    return TaskSpec.model_validate({"id": task_id, "prompt": f"do {task_id}", "depends_on": after, **fields})


def write(path: str, text: str = "content\n") -> Step:
    """A step that writes a file."""
    return {"write": {"path": path, "text": text}}


def edit(path: str, old: str, new: str) -> Step:
    """A step that replaces a text in a file."""
    return {"edit": {"path": path, "old": old, "new": new}}


def shell(line: str) -> Step:
    """A step that runs a shell command in the worktree."""
    return {"run": ["sh", "-ec", line]}


def fail() -> Step:
    """A step that ends the agent as failed."""
    return {"exit": 1}


def hanging() -> Tables:
    """Settings with an agent `hanging`, which is at work at once, writes a file and never ends."""
    line = "echo begun; echo content > begun.txt; sleep 300 & wait"
    return {"agents.hanging": {"type": "command", "command": ["sh", "-c", line], "cost_usd": 0.0}}


def wait_for(path: Path) -> Step:
    """A step that waits until a file exists; the task's time limit bounds it."""
    return shell(f"until test -e {shlex.quote(str(path))}; do sleep 0.02; done")


def touch(path: Path) -> Step:
    """A step that makes a file outside the worktree, as a signal."""
    return shell(f"touch {shlex.quote(str(path))}")


def note(path: Path, line: str) -> Step:
    """A step that appends a line to a file outside the worktree."""
    return shell(f"echo {shlex.quote(line)} >> {shlex.quote(str(path))}")


@dataclass(frozen=True)
class Built:
    """What one run came to: its report, its journal, its account, and how Prefect saw it end."""

    report: Report
    entries: tuple[Entry, ...]
    account: Account
    state: "State[object]"
    folder: RunFolder

    @property
    def tasks(self) -> dict[str, TaskReport]:
        """The report's tasks by id."""
        return {one.id: one for one in self.report.tasks}

    @property
    def states(self) -> dict[str, str]:
        """What became of each task."""
        return {one.id: one.state.value for one in self.report.tasks}

    def of(self, event: EventKind) -> list[Entry]:
        """The journal's entries of one kind."""
        return [entry for entry in self.entries if entry.event is event]

    @property
    def agents(self) -> list[Entry]:
        """The journal's entries of agents that were started."""
        return [entry for entry in self.of(EventKind.PROCESS_STARTED) if entry.data["what"] == "agent"]

    def hub(self, *arguments: str) -> str:
        """A git command on the hub."""
        return git(arguments, git_dir=self.folder.store.hub).text

    def refs(self, *below: str) -> dict[str, str]:
        """The run's refs in the hub, without the run's own prefix, and what they point at."""
        prefix = f"refs/graftline/{self.report.flow_run_id}/"
        listed = self.hub("for-each-ref", "--format=%(refname) %(objectname)", prefix + "/".join(below))
        return dict(line.removeprefix(prefix).split() for line in listed.splitlines())


@dataclass(frozen=True)
class Project:
    """A repository of a person's, a folder for signals between agents and tests, and the flow to build plans with."""

    path: Path
    signals: Path

    def git(self, *arguments: str) -> str:
        """A git command of the person's."""
        return run_git(self.path, *arguments)

    def show(self, path: str, revision: str = "HEAD") -> str:
        """A file's content in a commit."""
        return self.git("show", f"{revision}:{path}")

    def files(self, revision: str = "HEAD") -> set[str]:
        """The files of a commit."""
        return set(self.git("ls-tree", "-r", "--name-only", revision).splitlines())

    def snapshot(self) -> dict[str, bytes]:
        """Every byte of the repository, its .git included; objects apart, which are shared and only ever added."""
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and ".git/objects" not in str(path)
        }

    def configure(self, script: Script, heals: Script, settings: Tables) -> None:
        """Write graftline.toml and the agent's script; git ignores both, so the repository stays as it is."""
        file = self.signals / "script.yaml"
        file.write_text(yaml.safe_dump({"tasks": _plain(script), "heals": _plain(heals)}))
        tables: dict[str, dict[str, object]] = {name: dict(table) for name, table in SETTINGS.items()}
        tables["agents.scripted"] |= self.agent()
        for name, table in settings.items():
            tables.setdefault(name, {}).update(table)
        lines: list[str] = []
        for name, values in tables.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
        (self.path / "graftline.toml").write_text("\n".join(lines) + "\n")

    def agent(self, **fields: object) -> dict[str, object]:
        """A profile of the agent that does what the script says, for settings that need another one of it."""
        command = [sys.executable, agent.__file__, str(self.signals / "script.yaml")]
        return {"type": "command", "command": command, **fields}

    async def build(
        self,
        tasks: Sequence[TaskSpec],
        script: Script,
        *,
        heals: Script | None = None,
        settings: Tables | None = None,
        **request: object,
    ) -> Built:
        """Run a plan through the `build` flow.

        `settings` are tables of graftline.toml, `request` fields of the flow's parameter.
        """
        self.configure(script, heals or {}, settings or {})
        return await self.enter(await self.schedule(tasks, **request))

    async def open(
        self,
        tasks: Sequence[TaskSpec] | None,
        script: Script,
        *,
        heals: Script | None = None,
        settings: Tables | None = None,
        **request: object,
    ) -> Run:
        """An open run of a plan, prepared as `build` does it, whose steps a test calls itself."""
        self.configure(script, heals or {}, settings or {})
        plan = Plan(title="Test plan", tasks=tuple(tasks)) if tasks else None
        wanted = BuildRequest.model_validate({"repository": str(self.path), "plan": plan, **request})
        return await enter_run(wanted, str(uuid4()), os.environ)

    async def schedule(self, tasks: Sequence[TaskSpec] | None, **request: object) -> str:
        """Make a flow run of `build` and return its id; `enter` runs it. Without tasks, the request is in words."""
        from prefect.client.orchestration import get_client  # noqa: PLC0415 - see the module's docstring

        from graftline.flows.build import build  # noqa: PLC0415 - imports Prefect

        plan = Plan(title="Test plan", tasks=tuple(tasks)) if tasks else None
        wanted = BuildRequest.model_validate({"repository": str(self.path), "plan": plan, **request})
        async with get_client() as client:
            return str((await client.create_flow_run(build, parameters={"request": wanted})).id)

    async def enter(self, run_id: str) -> Built:
        """Run a flow run in this process, also one that was run before, as Prefect's Retry does."""
        from prefect.client.orchestration import get_client  # noqa: PLC0415 - see the module's docstring
        from prefect.flow_engine import run_flow_async  # noqa: PLC0415
        from prefect.states import Scheduled  # noqa: PLC0415

        from graftline.flows.build import build  # noqa: PLC0415 - imports Prefect

        async with get_client() as client:
            flow_run = await client.read_flow_run(UUID(run_id))
            if flow_run.state is not None and not flow_run.state.is_pending():
                await client.set_flow_run_state(UUID(run_id), Scheduled(name="AwaitingRetry"), force=True)
                flow_run = await client.read_flow_run(UUID(run_id))
        parameters = {"request": BuildRequest.model_validate(flow_run.parameters["request"])}
        await run_flow_async(build, flow_run=flow_run, parameters=parameters, return_type="state")
        return await self.built(run_id)

    def folder(self, run_id: str) -> RunFolder:
        """Where a run keeps its records."""
        return repository_store(state_directory(os.environ), str((self.path / ".git").resolve())).run(run_id)

    def journal(self, run_id: str) -> list[Entry]:
        """What a run has recorded so far; nothing before it is prepared."""
        file = self.folder(run_id).journal
        return Journal.open(file).entries() if file.exists() else []

    async def built(self, run_id: str) -> Built:
        """What the records, and Prefect's server, say of a run that ended."""
        from prefect.client.orchestration import get_client  # noqa: PLC0415 - see the module's docstring

        async with get_client() as client:
            state = (await client.read_flow_run(UUID(run_id))).state
        folder = self.folder(run_id)
        report = read_report(folder)
        assert report is not None, state
        assert state is not None
        entries = tuple(self.journal(run_id))
        return Built(report, entries, Ledger.open(state_directory(os.environ)).account(run_id), state, folder)


def _plain(script: Script) -> dict[str, object]:
    """A script as YAML can write it."""
    return {
        name: {number: list(each) for number, each in steps.items()} if isinstance(steps, Mapping) else list(steps)
        for name, steps in script.items()
    }


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server of this test session's own."""
    from prefect import settings  # noqa: PLC0415 - see the module's docstring
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415

    # Who writes to the one SQLite file at the same moment gets 503, and Prefect's client comes back two seconds later:
    # nothing but the runs themselves writes here, and rows of task runs are written together.
    quiet = {
        settings.PREFECT_LOGGING_TO_API_ENABLED: False,
        settings.PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED: False,
        settings.PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED: False,
        settings.PREFECT_SERVER_SERVICES_FOREMAN_ENABLED: False,
        settings.PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED: False,
        settings.PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED: False,
        settings.PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE: 500,
        settings.PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL: 1,
    }
    with settings.temporary_settings(quiet), prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def project(prefect_server: None, offline_project: Project) -> Project:
    """A repository with a small Python package and its tests, whose agent does what the test's script says."""
    del prefect_server  # it only has to be there
    return offline_project


@pytest.fixture
def offline_project(make_repository: MakeRepository, tmp_path: Path) -> Project:
    """The same without a Prefect server: runs can be opened, and their steps called, but no flow runs."""
    path = make_repository(FILES, name="project")
    (path / ".git" / "info" / "exclude").write_text("graftline.toml\n")
    signals = tmp_path / "signals"
    signals.mkdir()
    return Project(path, signals)
