"""A request to a real project, in words: planned, shown, built, tested and landed by one command."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from graftline.agents.outcome import OutcomeKind, Usage
from graftline.journal import EventKind
from graftline.ledger import Role
from graftline.prices import cost_of
from graftline.report.model import RunState, TaskState
from tests.e2e.clis import CLAUDE, Cli
from tests.e2e.counting import CONTRACT, REQUEST, TASKS, TITLE
from tests.e2e.graftline_process import git
from tests.e2e.planned_run import LAST, Planned, run_request
from tests.e2e.planned_task import PlannedTask
from tests.e2e.planner import MODEL, PRICE, asked
from tests.e2e.sdist import SdistMissingError, find_sdist
from tests.model_server.scenario import TokenUsage

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)


@pytest.fixture(scope="module")
def sdist() -> Path:
    """The project that the request is for."""
    try:
        return find_sdist("pygments")
    except SdistMissingError as missing:
        reason = f"{missing}; `make agents` fetches it"
        # In CI, where it is part of the set-up, a skip would hide a hole.
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def planned(
    installed_clis: Mapping[Cli, Path], sdist: Path, state_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Planned:
    """The run."""
    return run_request(installed_clis, sdist, state_dir, tmp_path_factory.mktemp("planned"))


def test_a_request_lands_in_a_repository_of_three_thousand_files(planned: Planned) -> None:
    report = planned.finished.report
    assert len(git(planned.repository, "ls-tree", "-r", "--name-only", planned.base).splitlines()) > 2_700
    assert (report.state, report.landed_commit) == (RunState.LANDED, git(planned.repository, "rev-parse", "main"))
    assert [(task.id, task.title, task.state) for task in report.tasks] == [
        (task.id, task.title, TaskState.SUCCEEDED) for task in TASKS
    ]
    assert [[(attempt.backend, attempt.outcome) for attempt in task.attempts] for task in report.tasks] == [
        [(CLAUDE.type, OutcomeKind.OK)] for _ in TASKS
    ]
    assert git(planned.repository, "status", "--porcelain") == ""


def test_what_landed_is_what_was_tested_with_the_acceptance_tests_as_they_were_written(planned: Planned) -> None:
    report = planned.finished.report
    assert report.tests is not None
    assert (report.tests.exit_code, report.tests.failures, report.tests.base_failures) == (0, (), ())
    assert report.tested_tree == git(planned.repository, "rev-parse", "main^{tree}")
    assert {task.test: (planned.repository / task.test).read_text() for task in TASKS} == {
        task.test: task.test_content for task in TASKS
    }
    changed = git(planned.repository, "diff", "--name-only", planned.base, "main").splitlines()
    assert sorted(changed) == sorted(path for task in TASKS for path in (*task.writes, task.test))


@each_task
def test_an_acceptance_test_is_red_before_its_agent_works_and_green_after(planned: Planned, task: PlannedTask) -> None:
    said = [record.last_tool_result for record in planned.requests_of(task)]
    assert re.search(r"\b[1-9]\d* failed", said[1])
    assert "passed" not in said[1]
    assert re.search(r"\b[1-9]\d* passed", said[3])
    assert "failed" not in said[3]


def test_a_test_that_is_green_already_goes_back_to_the_planner(planned: Planned) -> None:
    first, second = asked(planned.requests)
    problem = f"'{LAST.test}::test_the_help_is_printed': passes on the repository as it is"
    assert problem not in first.text
    assert second.text.count(problem) == 1
    assert second.text.count("passes on the repository as it is") == 1
    assert second.text.startswith(first.text), "what the provider keeps for a while is not paid for twice"
    assert {record.request.model for record in (first, second)} == {MODEL}
    assert {record.api_key for record in (first, second)} == {CLAUDE.api_key}


def test_no_agent_starts_before_the_plan_is_settled_and_its_tests_were_tried(planned: Planned) -> None:
    assert [record.namespace for record in planned.requests[:2]] == ["planner", "planner"]
    events = [entry.event for entry in planned.journal]
    assert (
        events.index(EventKind.PLAN_PROPOSED)
        < events.index(EventKind.PLAN_SETTLED)
        < events.index(EventKind.ATTEMPT_STARTED)
    )
    tried = [entry.data["label"] for entry in planned.journal if entry.event is EventKind.VERIFY_STARTED]
    assert tried == ["scaffold", "scaffold", "base", "candidate"]
    [proposed] = [entry.data for entry in planned.journal if entry.event is EventKind.PLAN_PROPOSED]
    assert (proposed["by"], proposed["title"]) == ("planner", TITLE)


def test_the_planner_sees_the_request_and_the_files_it_is_about(planned: Planned) -> None:
    question = asked(planned.requests)[0].text
    assert REQUEST in question
    assert "pygments/cmdline.py" in question
    assert str(planned.repository) not in question


@each_task
def test_an_agent_is_told_its_own_task_and_what_its_neighbours_share_with_it(
    planned: Planned, task: PlannedTask
) -> None:
    prompt = planned.requests_of(task)[0].text
    told = [task.what, task.where, CONTRACT, *task.done_when, *task.needs.values(), task.test]
    assert [part for part in told if part not in prompt] == []
    assert [other.id for other in TASKS if other is not task and other.what in prompt] == []
    beside = [other.title for other in TASKS if other is not task and LAST not in (other, task)]
    assert [title for title in beside if title not in prompt] == []


def test_the_ledger_holds_the_planners_calls_as_the_provider_counts_them(planned: Planned) -> None:
    calls = [call for call in planned.calls if call.role is Role.PLANNER]
    assert [(call.backend, call.model, call.task, call.outcome) for call in calls] == [
        ("anthropic", MODEL, None, OutcomeKind.OK)
    ] * 2
    told = [record.usage or TokenUsage() for record in asked(planned.requests)]
    usages = [
        Usage(
            input_tokens=usage.input_tokens + usage.cache_write_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cache_read_tokens,
        )
        for usage in told
    ]
    assert [call.usage.cost_usd for call in calls] == [pytest.approx(cost_of(usage, PRICE)) for usage in usages]
    assert [(call.usage.input_tokens, call.usage.output_tokens, call.usage.cached_tokens) for call in calls] == [
        (usage.input_tokens, usage.output_tokens, usage.cached_tokens) for usage in usages
    ]


def test_the_report_adds_up_planner_and_agents(planned: Planned) -> None:
    assert sorted(str(call.task) for call in planned.calls if call.role is Role.TASK) == sorted(
        task.id for task in TASKS
    )
    assert len(planned.calls) == 2 + len(TASKS)
    costs = [call.usage.cost_usd for call in planned.calls]
    assert None not in costs
    assert planned.finished.report.cost_usd == pytest.approx(sum(cost for cost in costs if cost is not None))


def test_the_plan_and_what_it_may_cost_are_shown_before_an_agent_starts(planned: Planned) -> None:
    shown = planned.finished.stderr.partition(f"started with {CLAUDE.type}")[0]
    assert [task.title for task in TASKS if task.title not in shown] == []
    assert [path for task in TASKS for path in task.writes if path not in shown] == []
    assert "within the cap of $4.00" in shown
    assert planned.finished.report.estimate is not None


def test_nothing_of_the_repository_is_written_before_the_landing(planned: Planned) -> None:
    assert planned.working == planned.before
