"""An agent of a real CLI that is stuck with a question: a person answers, and its session goes on with the answer."""

import time
from pathlib import Path

import pytest

from graftline.agents.outcome import OutcomeKind
from graftline.errors import ExitCode
from graftline.journal import EventKind, Journal
from graftline.records import task_records
from graftline.report.model import RunState
from graftline.store import find_run
from tests.e2e.clis import CODEX
from tests.e2e.graftline_process import PATIENCE_SECONDS, Graftline, finish, git, new_repository
from tests.model_server import ModelServer

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

PLAN = f"""---
version: "1"
title: Colours
tasks: [{{id: paint, agent: {CODEX.profile}}}]
---
## paint

DO-paint.
"""
SCENARIO = {
    "scenarios": [
        {
            "match": "ANSWER-blue",
            "turns": [{"tools": [{"write": {"path": "colour.txt", "content": "blue\n"}}]}, {"text": "It is blue."}],
        },
        {"match": "DO-paint.", "turns": [{"text": "I have looked around.\n\nSTUCK: which colour is it to be?"}]},
    ]
}


def test_a_person_answers_an_agent_and_its_session_goes_on(
    graftline: Graftline, model_server: ModelServer, tmp_path: Path
) -> None:
    model_server.scenario(SCENARIO)
    repository = new_repository(tmp_path / "repository", {"notes.txt": "one\n"}, graftline.agents.profiles())
    settings = {"GRAFTLINE_TEST__RUNNER": "none", "GRAFTLINE_RETRIES__MAX_PER_TASK": "0"}
    process = graftline.start_plan(repository, PLAN, **settings)
    deadline = time.monotonic() + PATIENCE_SECONDS
    model_server.wait_for(lambda record: "DO-paint." in record.text, timeout_seconds=PATIENCE_SECONDS)
    run = find_run(graftline.state_dir, "colours", None)
    while not any(entry.event is EventKind.QUESTION_ASKED for entry in Journal.open(run.journal).entries()):
        assert process.poll() is None, finish(process).stderr
        assert time.monotonic() < deadline
        time.sleep(0.1)

    answered = finish(graftline.start(repository, "answer", "colours", "paint", "ANSWER-blue"))
    finished = finish(process)

    assert answered.status == ExitCode.SUCCESS, answered.stderr
    assert finished.status == ExitCode.SUCCESS, finished.stderr
    assert finished.report.state is RunState.LANDED
    asked, done = task_records(run, "paint")
    assert (asked.outcome, done.outcome) == (OutcomeKind.STUCK, OutcomeKind.OK)
    assert asked.session_id == done.session_id
    last = model_server.requests()[-1].text
    assert [last.count(words) > 0 for words in ("DO-paint.", "which colour is it to be?", "ANSWER-blue")] == [True] * 3
    assert git(repository, "show", "main:colour.txt") == "blue"
