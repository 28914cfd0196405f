"""One request, from its words to its landing, in a real repository: the planner plans, Claude Code does what it says.

It is run once (fixture `planned` of the one file that looks at it).
"""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from graftline.errors import ExitCode
from graftline.journal import Entry, Journal
from graftline.ledger import Call, Ledger
from graftline.store import RunFolder
from tests.e2e.clis import CLAUDE, Cli
from tests.e2e.counting import GREEN_TEST, REQUEST, TASKS, Change, Task, draft
from tests.e2e.graftline_process import Agents, Finished, Graftline, finish, git, make_repository_of, wait_for_request
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
    before: Mapping[str, tuple[int, int]]
    working: Mapping[str, tuple[int, int]]

    def requests_of(self, task: Task) -> list[RequestRecord]:
        """What the agent of a task asked the model, turn by turn."""
        return [record for record in self.requests if is_of(task, record)]


def is_of(task: Task, record: RequestRecord) -> bool:
    """Whether the agent of a task asked that."""
    return record.namespace == CLAUDE.type and record.scenario == task.what


def scenario() -> dict[str, object]:
    """What the planner and the agents say; the planner's first answer has a test in it that is green already."""
    wrong = replace(LAST, test_content=LAST.test_content + GREEN_TEST)
    plans = planner_scenario(REQUEST, [draft([*TASKS[:-1], wrong]), draft()])
    return {"scenarios": [plans, *map(_agent, TASKS)]}


def _agent(task: Task) -> dict[str, object]:
    """Sees its test red, does what it says, sees the test green."""
    run_test = {"bash": shlex.join([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", task.test])}
    last: dict[str, object] = {"hold": GATE} if task is LAST else {}
    turns: list[dict[str, object]] = [
        {"tools": [run_test]},
        {"tools": [step for change in task.changes for step in _steps(change)]},
        {"tools": [run_test], "usage": {"input_tokens": 2400, "output_tokens": 310, "cache_read_tokens": 9000}},
        {"text": f"{task.test} is green.", **last},
    ]
    return {"match": task.what, "turns": turns}


def _steps(change: Change) -> list[dict[str, object]]:
    if change.content:
        return [{"write": {"path": change.path, "content": change.content}}]
    return [{"edit": {"path": change.path, "old": old, "new": new}} for old, new in change.edits]


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
    """Every file below a folder, the repository's own among them, with its size and when it was written."""
    found: dict[str, tuple[int, int]] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            stat = path.lstat()
            found[str(path.relative_to(folder))] = (stat.st_size, stat.st_mtime_ns)
    return found


def _settings(agents: Agents) -> str:
    return (
        f'[agent]\nbackend = "{CLAUDE.profile}"\n{agents.profiles()}{planner_settings(agents.server)}'
        f"[test]\ncommand = {json.dumps(TESTS)}\n"
    )
