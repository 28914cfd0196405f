"""The model's server is killed while eight agents of real CLIs are at work, and comes back: nobody pays for it.

The server stays away until every agent that was at work has been refused; `E2E_OUTAGE_SECONDS=60` keeps it away for at
least as long as that.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from graftline.agents.outcome import POLICIES, OutcomeKind, Policy
from graftline.errors import ExitCode
from graftline.journal import Entry, EventKind, Journal
from graftline.ledger import Ledger
from graftline.report.model import RunState
from graftline.store import RunFolder, find_run
from tests.e2e.clis import CLAUDE, CODEX, Cli
from tests.e2e.graftline_process import PATIENCE_SECONDS, Agents, Graftline, finish, git, new_repository
from tests.model_server import Ending, ModelServer

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

AGENTS = {f"task-{number}": CLAUDE if number % 4 == 0 else CODEX for number in range(1, 9)}
AT_WORK = 4
SETTINGS = {
    "GRAFTLINE_TEST__RUNNER": "none",
    "GRAFTLINE_RETRIES__MAX_PER_TASK": "0",
    "GRAFTLINE_PROVIDER__FIRST_WAIT_SECONDS": "1",
    "GRAFTLINE_AGENT__MAX_CONCURRENT": str(AT_WORK),
    # What an interrupted call has cost is unknown, and counts as an estimate.
    "GRAFTLINE_COST__MAX_USD": "1000",
}
OUTAGE_SECONDS = float(os.environ.get("E2E_OUTAGE_SECONDS", "0"))


def plan() -> str:
    """Eight tasks that need nothing of each other."""
    tasks = [
        # The title is what the agents of the other tasks are told; without one it would be the prompt.
        {"id": task, "title": f"Title of {task}", "agent": cli.profile, "writes": [f"{task}*.txt"]}
        for task, cli in AGENTS.items()
    ]
    front = json.dumps({"version": "1", "title": "Outage", "tasks": tasks})
    return "\n".join([f"---\n{front}\n---\n", *(f"## {task}\n\nDO-{task}.\n" for task in AGENTS)])


def scenario(*, is_back: bool) -> dict[str, object]:
    """Each agent writes a file, and before the outage is then kept waiting; told that it was cut short, it goes on."""

    def write(path: str) -> dict[str, object]:
        return {"tools": [{"write": {"path": path, "content": f"{path}\n"}}]}

    def turns(task: str) -> list[dict[str, object]]:
        rest = [write(f"{task}-whole.txt"), {"text": "done"}] if is_back else [{"hang": True}]
        return [write(f"{task}-half.txt"), *rest]

    # Some were refused before they had begun; what others had written must be there as it was.
    name = "$GRAFTLINE_TASK_ID"
    line = f"test -e {name}-half.txt || echo late > {name}-half.txt; echo content > {name}-whole.txt"
    goes_on = {"match": "You were cut short", "turns": [{"tools": [{"bash": line}]}, {"text": "done"}]}
    cut = [goes_on] if is_back else []
    return {"scenarios": [*cut, *({"match": f"DO-{task}.", "turns": turns(task)} for task in AGENTS)]}


def entries(run: RunFolder, event: EventKind) -> list[Entry]:
    """What the journal has of a kind so far."""
    return [entry for entry in Journal.open(run.journal).entries() if entry.event is event]


def test_an_outage_of_the_provider_costs_no_task_a_retry_and_loses_nothing(
    installed_clis: Mapping[Cli, Path], state_dir: Path, isolated_environment: Path, tmp_path: Path
) -> None:
    server = ModelServer()
    server.scenario(scenario(is_back=False))
    agents = Agents.around(installed_clis, tmp_path / "agents", server)
    repository = new_repository(tmp_path / "repository", {"notes.txt": "one\n"}, agents.profiles())
    process = Graftline(agents, state_dir, isolated_environment).start_plan(repository, plan(), **SETTINGS)

    def wait_until(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert process.poll() is None, finish(process).stderr
            assert time.monotonic() < deadline
            time.sleep(0.2)

    port = int(server.url.rpartition(":")[2])
    try:
        wait_until(lambda: sum(record.ending is Ending.HANGING for record in server.requests()) == AT_WORK)
    finally:
        server.close()
    back_at = time.monotonic() + OUTAGE_SECONDS
    run = find_run(state_dir, "outage", None)
    wait_until(lambda: len(entries(run, EventKind.ATTEMPT_ENDED)) >= AT_WORK and time.monotonic() >= back_at)
    with ModelServer(port) as back:
        back.scenario(scenario(is_back=True))
        finished = finish(process)

    assert finished.status == ExitCode.SUCCESS, finished.stderr
    report = finished.report
    assert report.state is RunState.LANDED
    for task in report.tasks:
        *refused, last = [attempt.outcome for attempt in task.attempts]
        assert last is OutcomeKind.OK
        assert {POLICIES[outcome] for outcome in refused} <= {Policy.WAIT}, "although no task has a retry"
    assert sum(len(task.attempts) - 1 for task in report.tasks) >= AT_WORK
    files = git(repository, "ls-tree", "-r", "--name-only", "main").split()
    assert files == sorted(["notes.txt", *(f"{task}-{part}.txt" for task in AGENTS for part in ("half", "whole"))])
    halves = [git(repository, "show", f"main:{task}-half.txt") for task in AGENTS]
    assert sum(half == f"{task}-half.txt" for task, half in zip(AGENTS, halves, strict=True)) >= AT_WORK
    assert not report.salvage
    assert f"127.0.0.1:{port}" in {entry.data["provider"] for entry in entries(run, EventKind.PROVIDER_WAITED_FOR)}
    calls = Ledger.open(state_dir).account(run.id).calls
    assert not [call for call in calls if call.is_open]
    assert len(calls) == sum(len(task.attempts) for task in report.tasks)
