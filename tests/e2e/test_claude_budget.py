"""The cap of a run with the one CLI that can be held to its share of it."""

from pathlib import Path

import pytest

from graftline.agents.outcome import OutcomeKind
from graftline.caps import Scope
from graftline.errors import ExitCode
from graftline.ledger import Ledger
from graftline.report.model import RunState, TaskState
from tests.e2e.clis import CLAUDE
from tests.e2e.graftline_process import Graftline, git, new_repository
from tests.model_server import ModelServer

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

PLAN = f"""---
version: "1"
title: Over its cap
tasks: [{{id: first, agent: {CLAUDE.profile}}}]
---
## first
BUILD-first
"""


def test_claude_is_held_to_the_reservation_and_the_run_ends_at_its_cap(
    graftline: Graftline, model_server: ModelServer, tmp_path: Path
) -> None:
    repository = new_repository(tmp_path / "repository", {"README.md": "hello\n"}, graftline.agents.profiles())
    # 15 cents of output each: the first answer fits under the cap, and the second goes beyond it.
    write = {"write": {"path": "first.txt", "content": "by first\n"}}
    answers = [{"tools": [step], "usage": {"output_tokens": 10_000}} for step in (write, {"bash": "true"})]
    model_server.scenario({"scenarios": [{"match": "BUILD-first", "turns": answers}]})

    finished = graftline.run_plan(
        repository, PLAN, "--max-cost", "0.25", "--agents", "1", GRAFTLINE_TEST__RUNNER="none"
    )

    assert finished.status == ExitCode.WORK_FAILED, finished.stderr
    report = finished.report
    assert report.state is RunState.BUDGET_REACHED
    [call] = Ledger.open(graftline.state_dir).account(report.flow_run_id).calls
    assert (call.task, call.outcome, call.reserved_usd) == ("first", OutcomeKind.BUDGET, 0.25)
    [arguments] = graftline.agents.command_lines(CLAUDE)
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
