"""One execution of a plan: what was pinned at its start, and the open records it works on.

Everything that decides the run (base, normalised plan, settings without secrets) is pinned once in `run.json` of the
run's folder; whoever enters the run again, after a crash or in another process, reads it from there.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from graftline.agents.backend import AgentBackend
from graftline.agents.backends import resolve_backend
from graftline.errors import UserError
from graftline.git.hub import Hub, open_hub
from graftline.git.landing import check_result_branch
from graftline.git.merging import Merger
from graftline.git.repository import Repository, Target, list_files, open_repository
from graftline.git.worktrees import Worktree
from graftline.journal import EventKind, Journal
from graftline.ledger import Ledger
from graftline.plan import Graph, Plan, TaskSpec, graph_of
from graftline.preflight import Checked, check_tools
from graftline.private_files import make_folder, write_file
from graftline.process import this_process
from graftline.settings import Settings, public_dump
from graftline.store import RunFolder, find_run, repository_store, run_name, state_directory
from graftline.verify.detect import TestCommand, find_test_command


class PinnedRun(BaseModel):
    """`run.json`: what every entry into the run agrees on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str
    name: str
    repository: str
    target: str
    base: str
    created: datetime
    plan: Plan
    settings: dict[str, JsonValue]
    notes: tuple[str, ...] = ()


@dataclass
class Run:
    """An open run: pinned facts, the places it works in and the records it writes.

    `stop_reason` is set when nothing new may start (a key was refused, the budget is spent): what runs goes on, what
    has not started does not.
    """

    pinned: PinnedRun
    folder: RunFolder
    repository: Repository
    hub: Hub
    graph: Graph
    settings: Settings
    test_command: TestCommand | None
    test_tools: str
    tree_bytes: int
    journal: Journal
    ledger: Ledger
    merger: Merger
    environ: Mapping[str, str]
    stop_reason: str = ""
    candidates: int = 0
    retries_claimed: int = 0
    has_warned: bool = False
    retired: deque[Worktree] = field(default_factory=deque)

    @property
    def id(self) -> str:
        """The Prefect flow run's id."""
        return self.pinned.id

    @property
    def plan(self) -> Plan:
        """The pinned plan."""
        return self.pinned.plan

    @property
    def base(self) -> str:
        """The commit the run started from."""
        return self.pinned.base

    @property
    def target(self) -> Target:
        """The branch to land on, as it was when the run started."""
        return Target(branch=self.pinned.target, commit=self.pinned.base)

    @property
    def result_branch(self) -> str:
        """The branch the result waits on when it does not land."""
        return f"{self.settings.git.branch_prefix}/{self.pinned.name}"

    def ref(self, *parts: str | int) -> str:
        """A ref of this run in the hub."""
        return "/".join(["refs/graftline", self.id, *map(str, parts)])

    def backend(self, spec: TaskSpec) -> AgentBackend:
        """The agent a task is given to."""
        return resolve_backend(self.settings, spec.agent)

    def timeout_seconds(self, spec: TaskSpec) -> float:
        """Wall clock of one attempt of a task."""
        return spec.timeout_seconds or self.settings.timeouts.task_seconds

    def context_of(self, spec: TaskSpec) -> tuple[str, ...]:
        """What a task's agent is told of the plan around it: the work it builds upon."""
        before = [self.plan.task(name) for name in self.graph.dependencies(spec.id)]
        return tuple(f"{done.id}: {done.title or done.id}" for done in before)

    def claim_retry(self) -> bool:
        """Take one of the run's extra attempts, if any is left."""
        if self.retries_claimed >= self.settings.retries.max_per_run:
            return False
        self.retries_claimed += 1
        return True

    def max_retries(self, spec: TaskSpec) -> int:
        """Extra attempts of a task."""
        return self.settings.retries.max_per_task if spec.max_retries is None else spec.max_retries


NOT_STARTED = "not started: "
"""How the reason of a task begins that the run ended before."""
CANCELLED = "cancelled by request"
BUDGET_REACHED = "budget reached"
RUN_TIMED_OUT = "the run took longer than [timeouts] run_seconds"
"""Why a run is stopped; the first two have a state of their own."""

_open_runs: dict[str, Run] = {}
"""Runs open in this process. Flows and tasks are handed the id, since Prefect stores their parameters on its server."""


async def prepare_run(checked: Checked, run_id: str, environ: Mapping[str, str]) -> Run:
    """The open run for a flow run's id: pinned now, or entered again as it was pinned before.

    Raises:
        UserError: a branch of the user's is in the way of the result branch.
    """
    state_dir = state_directory(environ)
    store = repository_store(state_dir, str(checked.repository.common_dir))
    folder = store.run(run_id)
    if folder.pinned.exists():
        return await open_run(run_id, environ, current=checked.settings)
    plan = checked.manifest.plan
    name = run_name(plan.title, run_id)
    await check_result_branch(checked.repository, f"{checked.settings.git.branch_prefix}/{name}")
    hub = await open_hub(checked.repository, store.folder)
    await hub.fetch_base(checked.repository, run_id, checked.target.commit)
    make_folder(folder.path)
    pinned = PinnedRun(
        id=run_id,
        name=name,
        repository=str(checked.repository.path),
        target=checked.target.branch,
        base=checked.target.commit,
        created=datetime.now(UTC),
        plan=plan,
        settings=public_dump(checked.settings),
        notes=checked.notes,
    )
    # The pinned file comes last: with it, the start of the run is whole.
    journal = Journal.open(folder.journal) if folder.journal.exists() else Journal.create(folder.journal, run_id, name)
    write_file(folder.pinned, pinned.model_dump_json(indent=2).encode())
    run = _assemble(
        pinned,
        folder,
        checked.repository,
        hub,
        checked.settings,
        checked.test_command,
        checked.test_tools,
        checked.tree_bytes,
        journal,
        environ,
    )
    for note in checked.notes:
        run.journal.append(EventKind.PLAN_NOTED, text=note)
    return _enter(run)


async def open_run(run_id: str, environ: Mapping[str, str], *, current: Settings) -> Run:
    """The run with this id: the one open in this process, else from what was pinned.

    Secrets are not pinned: the profiles' keys come from the settings as they are now.
    """
    if run_id in _open_runs:
        return _open_runs[run_id]
    state_dir = state_directory(environ)
    folder = find_run(state_dir, run_id, None)
    pinned = read_pinned(folder)
    journal = Journal.open(folder.journal)
    if any(entry.event is EventKind.RUN_CLEANED for entry in journal.entries()):
        raise UserError(
            f"run {pinned.name} was cleaned up: its finished tasks would have to be paid for again, so it cannot be "
            "entered any more. What was kept is shown by `graftline diff`; start a new run for the rest"
        )
    repository = open_repository(Path(pinned.repository))
    hub = await open_hub(repository, folder.store.folder)
    settings = _with_secrets(Settings.model_validate(pinned.settings), current)
    tracked, tree_bytes = list_files(repository, pinned.base)
    command = find_test_command(settings.test, repository.path, environ, tracked=tracked)
    tools = "" if command is None else await check_tools(command, environ)
    return _enter(_assemble(pinned, folder, repository, hub, settings, command, tools, tree_bytes, journal, environ))


def read_pinned(folder: RunFolder) -> PinnedRun:
    """What a run pinned at its start.

    Raises:
        UserError: the file is missing, damaged or of a newer format.
    """
    try:
        return PinnedRun.model_validate_json(folder.pinned.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{folder.pinned}: cannot be read as the start of a run: {error}") from error


def live_run(run_id: str) -> Run:
    """The run open in this process; flows and tasks find it by the id they were given."""
    return _open_runs[run_id]


def close_run(run: Run) -> None:
    """Let go of an open run's records."""
    _open_runs.pop(run.id, None)


def _enter(run: Run) -> Run:
    """Say in the journal which process carries the run out from now on."""
    identity = this_process()
    run.journal.append(
        EventKind.RUN_PREPARED,
        run=run.id,
        name=run.pinned.name,
        base=run.base,
        target=run.pinned.target,
        tasks=len(run.plan.tasks),
        pid=identity.pid,
        started=identity.started,
    )
    _open_runs[run.id] = run
    return run


def _assemble(
    pinned: PinnedRun,
    folder: RunFolder,
    repository: Repository,
    hub: Hub,
    settings: Settings,
    test_command: TestCommand | None,
    test_tools: str,
    tree_bytes: int,
    journal: Journal,
    environ: Mapping[str, str],
) -> Run:
    return Run(
        pinned=pinned,
        folder=folder,
        repository=repository,
        hub=hub,
        graph=graph_of(pinned.plan),
        settings=settings,
        test_command=test_command,
        test_tools=test_tools,
        tree_bytes=tree_bytes,
        journal=journal,
        ledger=Ledger.open(state_directory(environ)),
        merger=Merger(hub, pinned.name),
        environ=environ,
        retries_claimed=sum(max(0, len(folder.attempts(spec.id)) - 1) for spec in pinned.plan.tasks),
    )


def _with_secrets(pinned: Settings, current: Settings) -> Settings:
    """Pinned settings whose profiles carry the keys of today's profiles of the same name and type."""
    profiles = dict(pinned.agents)
    for name, profile in pinned.agents.items():
        today = current.agents.get(name)
        if today is not None and today.type == profile.type == "claude-code":
            profiles[name] = profile.model_copy(update={"api_key": today.api_key})
    return pinned.model_copy(update={"agents": profiles})
