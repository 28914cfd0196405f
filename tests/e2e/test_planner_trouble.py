"""Requests in words that go wrong: graftline is killed after the planner answered, or no answer is a plan."""

import errno
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from graftline.agents.outcome import OutcomeKind
from graftline.errors import ExitCode
from graftline.ledger import Ledger, Role
from graftline.report.model import Report, RunState
from graftline.store import find_run
from tests.e2e.clis import CLAUDE
from tests.e2e.graftline_process import PATIENCE_SECONDS, Graftline, finish, git, new_repository
from tests.e2e.planned_task import Change, PlannedTask, draft
from tests.e2e.planner import asked, planner_scenario, planner_settings
from tests.model_server import ModelServer

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

REQUEST = "Let people be greeted by name."
TITLE = "Greet people"
GREETING = PlannedTask(
    id="greeting",
    title="Greet by name",
    what="Add `greet(name)` to a new module `greeting.py`; it returns `Hello, NAME!`.",
    done_when=("`greet` greets",),
    test="tests/test_greeting.py",
    test_content=(
        "def test_a_person_is_greeted():\n    from greeting import greet\n\n    assert greet('Ada') == 'Hello, Ada!'\n"
    ),
    changes=(Change("greeting.py", "def greet(name):\n    return f'Hello, {name}!'\n"),),
)
PROJECT = {"README.md": "# Greetings\n", "tests/test_nothing.py": "def test_nothing():\n    pass\n"}


def make_project(folder: Path, graftline: Graftline, files: Mapping[str, str], **planner: object) -> Path:
    """A small repository, in which the planner is asked."""
    agents = graftline.agents
    settings = f'[agent]\nbackend = "{CLAUDE.profile}"\n{agents.profiles()}{planner_settings(agents.server, **planner)}'
    return new_repository(folder / "repository", {**PROJECT, **files}, settings)


def open_when_read(pipe: Path, process: subprocess.Popen[str]) -> int:
    """The end of a pipe to write to, once somebody reads from the other one while the process goes on."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                pytest.fail(f"{error}\n{finish(process).stderr}")
            time.sleep(0.05)


def planner_calls(graftline: Graftline, report: Report) -> list[tuple[OutcomeKind | None, bool]]:
    """How the run's calls of the planner ended, and whether their cost is known."""
    calls = Ledger.open(graftline.state_dir).account(report.flow_run_id).calls
    return [(call.outcome, call.usage.cost_usd is not None) for call in calls if call.role is Role.PLANNER]


def test_a_plan_is_neither_asked_for_nor_paid_again_after_a_kill(
    graftline: Graftline, model_server: ModelServer, tmp_path: Path
) -> None:
    plans = planner_scenario(REQUEST, [draft(TITLE, [GREETING])])
    model_server.scenario({"scenarios": [plans, {"match": GREETING.what, "turns": GREETING.turns()}]})
    # Between the planner's answer and the agents' start the base is tested, which waits here until it is killed.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    wait = f"import os\n\nif not os.path.exists({GREETING.test!r}):\n    open({str(pipe)!r}).read()\n"
    repository = make_project(tmp_path, graftline, {"conftest.py": wait})
    process = graftline.start_request(repository, REQUEST)
    writing = open_when_read(pipe, process)
    process.kill()
    process.communicate()
    os.close(writing)
    pipe.unlink()
    pipe.touch()
    [asked_for_it] = model_server.requests()
    run = find_run(graftline.state_dir, "let-people-be-greeted-by-name", None)
    proposed = (run.planning / "proposal-1.json").read_bytes()

    finished = finish(graftline.start(repository, "resume", "--yes", "--json"))

    assert finished.status == ExitCode.SUCCESS, finished.stderr
    report = finished.report
    assert (report.flow_run_id, report.state) == (run.id, RunState.LANDED)
    assert asked(model_server.requests()) == [asked_for_it]
    assert (run.planning / "proposal-1.json").read_bytes() == proposed
    assert planner_calls(graftline, report) == [(OutcomeKind.OK, True)]
    [task] = report.tasks
    assert [attempt.outcome for attempt in task.attempts] == [OutcomeKind.OK]
    assert git(repository, "show", f"main:{GREETING.test}") == GREETING.test_content.strip()


def test_answers_that_stay_no_plan_end_in_one_error_before_any_agent(
    graftline: Graftline, model_server: ModelServer, tmp_path: Path
) -> None:
    answer = draft(TITLE, [GREETING, GREETING])
    model_server.scenario({"scenarios": [planner_scenario(REQUEST, [answer] * 2)]})
    repository = make_project(tmp_path, graftline, {}, max_replan_attempts=1)
    base = git(repository, "rev-parse", "main")

    finished = finish(graftline.start_request(repository, REQUEST))

    assert finished.status == ExitCode.WORK_FAILED, finished.stderr
    report = finished.report
    assert (report.state, report.tasks, report.landed_commit) == (RunState.FAILED, (), None)
    assert report.reason.startswith("the planner gave no usable answer in 2 tries")
    assert "the id 'greeting' is used twice;\n  task 'greeting': the acceptance test" in report.reason
    assert finished.stderr.count("Traceback") == 0
    assert len(asked(model_server.requests())) == len(model_server.requests()) == 2
    assert planner_calls(graftline, report) == [(OutcomeKind.OK, True)] * 2
    assert graftline.agents.command_lines(CLAUDE) == []
    assert (git(repository, "rev-parse", "main"), git(repository, "branch", "--list")) == (base, "* main")
