"""SIGKILL while the real Claude Code CLI works: its agent is ended, its work is kept, and nobody is paid twice."""

from pathlib import Path

import pytest

from graftline.agents.outcome import OutcomeKind
from graftline.errors import ExitCode
from graftline.journal import EventKind, Journal
from graftline.ledger import Ledger
from graftline.process import ProcessIdentity, is_alive
from graftline.report.model import RunState
from graftline.store import find_run
from tests.e2e.graftline_process import PATIENCE_SECONDS, Graftline, finish, git, new_repository
from tests.model_server import Ending, ModelServer

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

PLAN = """---
version: "1"
title: Killed
tasks: [{id: done}, {id: works, depends_on: [done]}]
---
## done
BUILD-done
## works
BUILD-works
"""
DONE = {
    "match": "BUILD-done",
    "turns": [{"tools": [{"write": {"path": "done.txt", "content": "done\n"}}]}, {"text": "Done."}],
}


def test_a_killed_run_is_gone_on_with_and_pays_nobody_twice(
    graftline: Graftline, model_server: ModelServer, tmp_path: Path
) -> None:
    repository = new_repository(tmp_path / "repository", {"notes.txt": "one\n"})
    half = {"write": {"path": "half.txt", "content": "half of it\n"}}
    hangs = {"match": "BUILD-works", "turns": [{"tools": [half]}, {"hang": True}]}
    model_server.scenario({"scenarios": [DONE, hangs]})
    process = graftline.start_plan(repository, PLAN, GRAFTLINE_TEST__RUNNER="none")
    model_server.wait_for(lambda record: record.ending is Ending.HANGING, timeout_seconds=PATIENCE_SECONDS)
    process.kill()
    process.communicate()
    folder = find_run(graftline.state_dir, "killed", None)
    started = [e.data for e in Journal.open(folder.journal).entries() if e.event is EventKind.PROCESS_STARTED]
    agent = ProcessIdentity(int(str(started[-1]["pid"])), str(started[-1]["started"]))
    assert is_alive(agent), "nobody has told it"

    whole = {"write": {"path": "whole.txt", "content": "all of it\n"}}
    # What only the session that is gone on with is told; it has the task from before.
    model_server.scenario(
        {"scenarios": [{"match": "You were cut short", "turns": [{"tools": [whole]}, {"text": "Done."}]}]}
    )
    resumed = finish(graftline.start(repository, "resume", "--json", GRAFTLINE_TEST__RUNNER="none"))

    assert resumed.status == ExitCode.SUCCESS, resumed.stderr
    assert f"ended what it left running: agent of works (process {agent.pid})" in resumed.stderr
    assert "\nReused  done: no agent is called for what is finished\nCalled  works\n" in resumed.stderr
    assert not is_alive(agent)
    report = resumed.report
    assert report.state is RunState.LANDED
    assert [[attempt.outcome for attempt in task.attempts] for task in report.tasks] == [
        [OutcomeKind.OK],
        [OutcomeKind.INTERRUPTED, OutcomeKind.OK],
    ]
    assert not report.salvage, "what was half done has been finished"
    files = git(repository, "ls-tree", "-r", "--name-only", "main").split()
    assert files == ["done.txt", "half.txt", "notes.txt", "whole.txt"]
    told = next(record.text for record in model_server.requests() if "You were cut short" in record.text)
    assert "BUILD-works" in told, "the session goes on"
    calls = Ledger.open(graftline.state_dir).account(folder.id).calls
    assert [(call.task, call.attempt, call.is_open) for call in calls] == [
        ("done", 1, False),
        ("works", 1, False),
        ("works", 2, False),
    ]
    assert (calls[1].usage.cost_usd, report.cost_usd, report.unknown_calls) == (None, None, 1)
