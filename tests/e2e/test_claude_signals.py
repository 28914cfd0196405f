"""Ctrl-C and SIGTERM while an agent works: agents end, their work is kept, and the records say what happened."""

import os
import signal
import sys
from pathlib import Path

import pytest

from graftline.errors import ExitCode
from graftline.journal import EventKind, Journal
from graftline.process import ProcessIdentity, is_alive
from graftline.report.files import read_report
from graftline.report.model import RunState, TaskState
from graftline.server import read_address
from graftline.server_process import request_json
from tests.e2e.graftline_process import PATIENCE_SECONDS, Graftline, finish, git, new_repository
from tests.model_server import Ending, ModelServer, RequestRecord

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

# A command of the agent's that tells the test that it runs, and whose end the test sees: it waits for the model itself.
WAIT = """
import json, sys, urllib.request
body = {"model": "m", "max_tokens": 1, "stream": True, "messages": [{"role": "user", "content": "TOOL-CHILD"}]}
urllib.request.urlopen(urllib.request.Request(sys.argv[1] + "/v1/messages", json.dumps(body).encode())).read()
"""
PLAN = """---
version: "1"
title: Interrupted
tasks: [{id: working}, {id: waiting, depends_on: [working]}]
---
## working
BUILD-working
## waiting
BUILD-waiting
"""


def tool_has_come_to(ending: Ending, record: RequestRecord) -> bool:
    """Whether a request is the tool's, and so far."""
    return record.namespace == "tool" and record.ending is ending


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ((signal.SIGINT,), ExitCode.SIGINT),
        ((signal.SIGINT, signal.SIGINT), ExitCode.SIGINT),
        ((signal.SIGTERM,), ExitCode.SIGTERM),
    ],
    ids=["SIGINT", "SIGINT-twice", "SIGTERM"],
)
def test_a_signal_ends_agents_and_their_commands_and_keeps_what_they_wrote(
    graftline: Graftline, model_server: ModelServer, tmp_path: Path, signals: tuple[signal.Signals, ...], code: ExitCode
) -> None:
    repository = new_repository(tmp_path / "repository", {"wait.py": WAIT})
    before = git(repository, "rev-parse", "main")
    model_server.scenario(
        {
            "scenarios": [
                {"match": "TOOL-CHILD", "without_tools": True, "turns": [{"hang": True}]},
                {
                    "match": "BUILD-working",
                    "turns": [
                        {"tools": [{"write": {"path": "half.txt", "content": "half of it\n"}}]},
                        {"tools": [{"bash": f"{sys.executable} wait.py {model_server.url_for('tool')}"}]},
                    ],
                },
            ]
        }
    )
    process = graftline.start_plan(repository, PLAN, GRAFTLINE_TEST__RUNNER="none")
    model_server.wait_for(lambda record: tool_has_come_to(Ending.HANGING, record), timeout_seconds=PATIENCE_SECONDS)

    first, *impatient = signals
    os.killpg(process.pid, first)
    for again in impatient:  # while what was written is being kept
        model_server.wait_for(
            lambda record: tool_has_come_to(Ending.CLIENT_GONE, record), timeout_seconds=PATIENCE_SECONDS
        )
        os.killpg(process.pid, again)

    finished = finish(process)
    assert finished.status == code, finished.stderr
    assert "Traceback" not in finished.stderr
    model_server.wait_for(lambda record: tool_has_come_to(Ending.CLIENT_GONE, record), timeout_seconds=0)
    report = finished.report
    folder = graftline.folder_of(report)
    assert report == read_report(folder)
    assert (report.state, report.landed_commit, report.branch) == (RunState.CANCELLED, None, None)
    assert [(task.id, task.state) for task in report.tasks] == [
        ("working", TaskState.CANCELLED),
        ("waiting", TaskState.NOT_RUN),
    ]
    assert git(repository, "rev-parse", "main") == before
    entries = Journal.open(folder.journal).entries()
    [agent] = [entry.data for entry in entries if entry.event is EventKind.PROCESS_STARTED]
    assert not is_alive(ProcessIdentity(int(str(agent["pid"])), str(agent["started"])))
    [salvage] = report.salvage
    assert salvage.task == "working"
    assert git(folder.store.hub, "show", f"{salvage.ref}:half.txt") == "half of it"
    assert list(folder.worktrees.glob("*")) == []
    # The person's terminal sends Ctrl-C to its foreground group: the server is in another one, and others may use it.
    address = read_address(graftline.state_dir)
    assert address is not None
    flow_run = request_json(address, "GET", f"/flow_runs/{report.flow_run_id}")
    assert isinstance(flow_run, dict)
    assert flow_run["state_type"] in {"CANCELLED", "CRASHED"}
