"""What a provider or a cap refuses: waited out, or the run stops, keeps what is finished and says why."""

import json
from pathlib import Path

import pytest

from graftline.agents.outcome import OutcomeKind
from graftline.caps import Scope
from graftline.errors import ExitCode
from graftline.ledger import Ledger
from graftline.report.model import RunState, TaskState
from tests.e2e.graftline_process import Graftline, git, new_repository
from tests.model_server import Ending, ModelServer

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

UNTESTED = {"GRAFTLINE_TEST__RUNNER": "none"}


def plan(first: str, *others: str, agent: str = "claude-code") -> str:
    """A task, and others that depend on it and not on each other."""
    specs = [
        {"id": first, "agent": agent},
        *({"id": task, "agent": agent, "depends_on": [first]} for task in others),
    ]
    front = json.dumps({"version": "1", "title": "Failures", "tasks": specs})
    return "\n".join([f"---\n{front}\n---", *(f"## {task}\nBUILD-{task}\n" for task in (first, *others))])


def write(task: str) -> dict[str, object]:
    """The turn in which a task's agent writes its file."""
    return {"tools": [{"write": {"path": f"{task}.txt", "content": f"by {task}\n"}}]}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What the plans are run on."""
    return new_repository(tmp_path / "repository", {"README.md": "hello\n"})


def test_a_rate_limit_that_passes_costs_no_retry(
    graftline: Graftline, model_server: ModelServer, repository: Path
) -> None:
    limited = {"error": "rate_limit", "times": 2, "retry_after_seconds": 0, **write("one")}
    model_server.scenario({"scenarios": [{"match": "BUILD-one", "turns": [limited, {"text": "done"}]}]})

    finished = graftline.run_plan(repository, plan("one"), **UNTESTED)

    assert finished.status == ExitCode.SUCCESS, finished.stderr
    assert [record.failure_status for record in model_server.requests() if record.ending is Ending.FAILED] == [429, 429]
    [task] = finished.report.tasks
    assert [(attempt.number, attempt.outcome) for attempt in task.attempts] == [(1, OutcomeKind.OK)]
    assert git(repository, "show", "main:one.txt") == "by one"


def test_a_refused_key_stops_dispatch_and_keeps_what_is_finished(
    graftline: Graftline, model_server: ModelServer, repository: Path
) -> None:
    before = git(repository, "rev-parse", "main")
    # By default the CLI tries a refused key four more times, which takes ten seconds.
    profile = ["type = 'claude-code'", f"binary = '{graftline.claude.path}'", "env = {CLAUDE_CODE_MAX_RETRIES = '0'}"]
    (repository / "graftline.toml").write_text("\n".join(["[agents.impatient]", *profile]))
    model_server.scenario(
        {
            "scenarios": [
                {"match": "BUILD-first", "turns": [write("first"), {"text": "done"}]},
                {"match": "BUILD-", "turns": [{"error": "auth"}]},
            ]
        }
    )

    finished = graftline.run_plan(
        repository, plan("first", "second", "third", agent="impatient"), "--agents", "1", **UNTESTED
    )

    assert finished.status == ExitCode.WORK_FAILED, finished.stderr
    report = finished.report
    assert report.state is RunState.FAILED
    assert report.reason.startswith("auth: ")
    # Which of the two is asked first is open; the other one never is.
    first, *others = report.tasks
    refused, spared = sorted(others, key=lambda task: task.state)
    assert [first.state, refused.state, spared.state] == [TaskState.SUCCEEDED, TaskState.FAILED, TaskState.NOT_RUN]
    assert [attempt.outcome for attempt in refused.attempts] == [OutcomeKind.AUTH]
    assert "auth" in spared.reason
    assert not [record for record in model_server.requests() if f"BUILD-{spared.id}" in record.text]
    assert (report.landed_commit, git(repository, "rev-parse", "main")) == (None, before)
    assert report.branch is not None
    assert git(repository, "show", f"{report.branch}:first.txt") == "by first"


def test_claude_is_held_to_the_reservation_and_the_run_ends_at_its_cap(
    graftline: Graftline, model_server: ModelServer, repository: Path
) -> None:
    # 15 cents of output each: the first answer fits under the cap, and the second goes beyond it.
    answers = [{**turn, "usage": {"output_tokens": 10_000}} for turn in (write("first"), {"tools": [{"bash": "true"}]})]
    model_server.scenario({"scenarios": [{"match": "BUILD-first", "turns": answers}]})

    finished = graftline.run_plan(repository, plan("first"), "--max-cost", "0.25", "--agents", "1", **UNTESTED)

    assert finished.status == ExitCode.WORK_FAILED, finished.stderr
    report = finished.report
    assert report.state is RunState.BUDGET_REACHED
    [call] = Ledger.open(graftline.state_dir).account(report.flow_run_id).calls
    assert (call.task, call.outcome, call.reserved_usd) == ("first", OutcomeKind.BUDGET, 0.25)
    [arguments] = graftline.claude.command_lines()
    assert float(arguments[arguments.index("--max-budget-usd") + 1]) == 0.25
    assert report.cost_usd is not None
    assert 0.30 < report.cost_usd < 0.32, "one turn more than the cap"
    [task] = report.tasks
    assert task.state is TaskState.CANCELLED, "stopped, and not failed"
    assert task.reason.startswith("Reached maximum budget")
    [cap] = report.caps_reached
    assert (cap.cap, cap.asked_usd, cap.called) == (Scope.RUN, 0.25, True)
    [salvage] = report.salvage
    assert git(graftline.folder_of(report).store.hub, "show", f"{salvage.ref}:first.txt") == "by first"
