"""One request, from its words to its landing, in a real repository: the planner plans, Claude Code does what it says.

It is run once (fixture `planned` of the one file that looks at it).
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from graftline.errors import ExitCode
from graftline.journal import Entry, Journal
from graftline.ledger import Call, Ledger
from graftline.store import RunFolder
from tests.e2e.clis import CLAUDE, Cli
from tests.e2e.counting import GREEN_TEST, REQUEST, TASKS, TITLE
from tests.e2e.graftline_process import Agents, Finished, Graftline, finish, git, make_repository_of, wait_for_request
from tests.e2e.planned_task import PlannedTask, draft
from tests.e2e.planner import planner_scenario, planner_settings
from tests.e2e.sdist import unpack
from tests.model_server import ModelServer, RequestRecord

# Of Pygments' 5,000 tests, which take a minute, those in files whose names begin as the acceptance tests' do.
TESTS = (
    *(sys.executable, "-m", "pytest", "-q", "tests"),
    *(f"--ignore=tests/{folder}" for folder in ("contrast", "examplefiles", "snippets")),
    "--ignore-glob=tests/test_[!c]*",
)
GATE = "everything but the landing"
LAST = TASKS[-1]


@dataclass(frozen=True)
class Planned:
    """What all tests look at. `before` and `working` are the repository's files as the run began, and near its end."""

    finished: Finished
    repository: Path
    base: str
    folder: RunFolder
    journal: tuple[Entry, ...]
    agents: Agents
    requests: tuple[RequestRecord, ...]
    calls: tuple[Call, ...]
    before: Mapping[str, tuple[int, int]] = field(repr=False)
    working: Mapping[str, tuple[int, int]] = field(repr=False)

    def requests_of(self, task: PlannedTask) -> list[RequestRecord]:
        """What the agent of a task asked the model, turn by turn."""
        return [record for record in self.requests if is_of(task, record)]


def is_of(task: PlannedTask, record: RequestRecord) -> bool:
    """Whether the agent of a task asked that."""
    return record.namespace == CLAUDE.type and record.scenario == task.what


def scenario() -> dict[str, object]:
    """What the planner and the agents say; the planner's first answer has a test in it that is green already."""
    wrong = replace(LAST, test_content=LAST.test_content + GREEN_TEST)
    plans = planner_scenario(REQUEST, [draft(TITLE, [*TASKS[:-1], wrong]), draft(TITLE, TASKS)])
    agents = [{"match": task.what, "turns": task.turns()} for task in TASKS]
    *done, said = LAST.turns()
    agents[-1]["turns"] = [*done, {**said, "hold": GATE}]
    return {"scenarios": [plans, *agents]}


def run_request(programs: Mapping[Cli, Path], sdist: Path, state_dir: Path, folder: Path) -> Planned:
    """Run the request to its end, in a folder of its own."""
    home = folder / "home"
    home.mkdir()
    with ModelServer() as server:
        server.scenario(scenario())
        agents = Agents.around(programs, folder / "agents", server)
        repository = make_repository_of(unpack(sdist, folder / "sdist"), _settings(agents))
        base, before = git(repository, "rev-parse", "main"), files_of(repository)
        graftline = Graftline(agents, state_dir, home)
        process = graftline.start_request(repository, REQUEST, "--max-cost", "4.00")
        try:
            wait_for_request(process, server, lambda record: is_of(LAST, record) and record.turn == 3)
            working = files_of(repository)
        finally:
            server.open_gate(GATE)
            finished = finish(process)
        assert finished.status == ExitCode.SUCCESS, finished.stdout + finished.stderr
        run = graftline.folder_of(finished.report)
        return Planned(
            finished=finished,
            repository=repository,
            base=base,
            folder=run,
            journal=tuple(Journal.open(run.journal).entries()),
            agents=agents,
            requests=server.requests(),
            calls=Ledger.open(state_dir).account(run.id).calls,
            before=before,
            working=working,
        )


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, the repository's own among them, with its size and when it was written.

    Not when objects were: the hub has hard links to them, and git touches an object there that it was to write again.
    """
    found: dict[str, tuple[int, int]] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            stat = path.lstat()
            is_object = "/.git/objects/" in str(path)
            found[str(path.relative_to(folder))] = (stat.st_size, 0 if is_object else stat.st_mtime_ns)
    return found


def _settings(agents: Agents) -> str:
    return (
        f'[agent]\nbackend = "{CLAUDE.profile}"\n{agents.profiles()}{planner_settings(agents.server)}'
        f"[test]\ncommand = {json.dumps(TESTS)}\n"
    )
