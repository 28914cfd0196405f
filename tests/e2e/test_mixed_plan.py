"""The pipeline with four real agent CLIs: a diamond and a chain of tasks, one of which first breaks a test."""

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it has no types of its own, and its stubs are for this file only
import pytest

import graftline
from graftline.agents.outcome import OutcomeKind, Usage
from graftline.ledger import Role
from graftline.report.model import HealOutcome, RunState, TaskState
from tests.e2e.clis import CLAUDE, CLIS, Cli
from tests.e2e.graftline_process import git
from tests.e2e.mixed_plan import BY_ID, FAILING_TEST, HEAL_MATCH, HEALED, SCRIPTED, STEPS, Landed, Step
from tests.model_server import Ending
from tests.model_server.scenario import TokenUsage

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

each_cli = pytest.mark.parametrize("cli", CLIS, ids=lambda cli: cli.type)


def test_a_plan_for_four_clis_lands(landed: Landed) -> None:
    report = landed.finished.report
    assert (report.state, report.landed_commit) == (RunState.LANDED, git(landed.repository, "rev-parse", "main"))
    assert [(task.id, task.state) for task in report.tasks] == [
        (name, TaskState.SUCCEEDED) for name in (*BY_ID, SCRIPTED)
    ]
    assert [[(attempt.backend, attempt.outcome) for attempt in task.attempts] for task in report.tasks] == [
        [(backend, OutcomeKind.OK)] for backend in (*(step.cli.type for step in STEPS), "command")
    ]
    assert report.tests is not None
    assert (report.tests.exit_code, report.tests.failures) == (0, ())
    assert report.tested_tree == git(landed.repository, "rev-parse", "main^{tree}")
    files = {step.path: step.content for step in STEPS} | {"shop/items.py": HEALED}
    assert {path: (landed.repository / path).read_text() for path in files} == files
    assert git(landed.repository, "status", "--porcelain") == ""


def test_stdout_is_one_json_document_that_the_published_schema_accepts(landed: Landed) -> None:
    schema = json.loads((Path(graftline.__file__).parent / "report.schema.json").read_text())
    document = json.loads(landed.finished.stdout)
    jsonschema.validate(document, schema)
    assert document == json.loads(landed.folder.report_json.read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "state": "done"}, schema)


@pytest.mark.parametrize("step", [step for step in STEPS if step.after], ids=lambda step: step.id)
def test_an_agent_finds_the_work_of_the_tasks_it_depends_on(landed: Landed, step: Step) -> None:
    [seen] = [
        record.last_tool_result
        for record in landed.requests
        if record.scenario and record.turn == 1 and step.prompt in record.text and HEAL_MATCH not in record.text
    ]
    for name in step.after:
        for line in filter(None, BY_ID[name].content.splitlines()):
            assert line in seen


def test_every_prompt_reaches_its_agent_verbatim_and_no_other(landed: Landed) -> None:
    for step in STEPS:
        others = [other.prompt for other in STEPS if other is not step]
        assert not [prompt for prompt in others if prompt in landed.prompt_of(step)]


@each_cli
def test_a_rate_limit_that_passes_costs_no_attempt(landed: Landed, cli: Cli) -> None:
    refused = [record for record in landed.requests_of(cli) if record.ending is Ending.FAILED]
    assert [record.failure_status for record in refused] == [429]
    [asked_again] = [
        record for record in landed.requests_of(cli) if record.scenario == refused[0].scenario and record.turn == 1
    ]
    assert asked_again.ending is Ending.ANSWERED


@each_cli
def test_the_ledger_holds_what_the_model_says_it_was_asked_for(landed: Landed, cli: Cli) -> None:
    # The first event of an answer that is cut off says already what it uses.
    answers = [record for record in landed.requests_of(cli) if record.ending in (Ending.ANSWERED, Ending.DROPPED)]
    told = [record.usage or TokenUsage() for record in answers]
    rows = [call.usage for call in landed.calls if call.backend == cli.type]
    assert total(rows) == Usage(
        input_tokens=sum(usage.input_tokens + usage.cache_write_tokens for usage in told),
        output_tokens=sum(usage.output_tokens for usage in told),
        cached_tokens=sum(usage.cache_read_tokens for usage in told),
    )


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.id)
def test_the_ledger_holds_what_the_cli_says_it_used(landed: Landed, step: Step) -> None:
    [call] = [call for call in landed.calls if (call.task, call.role) == (step.id, Role.TASK)]
    assert (call.backend, call.outcome, call.is_open) == (step.cli.type, OutcomeKind.OK, False)
    log = landed.folder.attempt(step.id, 1) / "agent.log"
    said = step.cli.account([json.loads(line) for line in log.read_text().splitlines()])
    assert total([call.usage]) == total([said])
    if said.cost_usd is not None:
        assert call.usage.cost_usd == pytest.approx(said.cost_usd)


def test_the_report_adds_up_to_the_ledger(landed: Landed) -> None:
    report = landed.finished.report
    assert len(landed.calls) == len(STEPS) + 2, "the CLIs' tasks, a heal and a program's"
    costs = [call.usage.cost_usd for call in landed.calls]
    known = [cost for cost in costs if cost is not None]
    assert report.cost_known_usd == pytest.approx(sum(known))
    assert report.unknown_calls == len(costs) - len(known)
    by_call = {(call.task, call.role): call.usage.cost_usd for call in landed.calls}
    assert by_call == {
        **{(task.id, Role.TASK): attempt.cost_usd for task in report.tasks for attempt in task.attempts},
        **{(heal.task, Role.HEAL): heal.cost_usd for heal in report.heals},
    }


def test_a_stream_that_is_cut_is_asked_for_again_as_a_plain_answer_and_counted(landed: Landed) -> None:
    cut = [
        (record.request.stream, record.ending)
        for record in landed.requests_of(CLAUDE)
        if record.scenario == "BUILD-guide:" and record.turn == 4
    ]
    assert cut == [(True, Ending.DROPPED), (False, Ending.ANSWERED)]


def test_a_red_test_is_healed_by_one_more_call_to_the_agent_that_broke_it(landed: Landed) -> None:
    [heal] = landed.finished.report.heals
    assert (heal.task, heal.round, heal.tests, heal.outcome) == ("prices", 1, (FAILING_TEST,), HealOutcome.HEALED)
    [call] = [call for call in landed.calls if call.role is Role.HEAL]
    assert (call.task, call.backend, call.outcome) == ("prices", CLAUDE.type, OutcomeKind.OK)


def test_a_healer_gets_its_tasks_prompt_verbatim_and_the_failure(landed: Landed) -> None:
    prompt = landed.prompt_of(BY_ID["prices"], heal=True)
    assert FAILING_TEST in prompt
    assert "assert 12500 == 125" in prompt


def test_landed_history_has_one_merge_per_task_on_the_targets_own_line(landed: Landed) -> None:
    fields = "%P%x00%(trailers:key=Graftline-Task,valueonly,separator=)%x00%(trailers:key=Graftline-Run,valueonly)"
    log = git(landed.repository, "log", "--first-parent", "--reverse", f"--format={fields}%x01", "main")
    commits = [entry.strip().split("\0") for entry in log.split("\x01") if entry.strip()]
    first, *merges = [(parents.split(), task.strip(), run.strip()) for parents, task, run in commits]
    assert first == ([], "", "")
    assert all(len(parents) == 2 for parents, _, _ in merges)
    tasks = [task for _, task, _ in merges]
    assert sorted(tasks) == sorted([*BY_ID, SCRIPTED, "prices"]), "one of each, and the heal of `prices`"
    assert tasks[-1] == "prices"
    assert all(tasks.index(before) < tasks.index(step.id) for step in STEPS for before in step.after)
    assert {run for _, _, run in merges} == {landed.finished.report.run}


def test_commits_that_agents_made_themselves_are_kept_beneath(landed: Landed) -> None:
    subjects = git(landed.repository, "log", "--format=%s", "main").splitlines()
    assert [subjects.count(step.subject) for step in STEPS] == [1] * len(STEPS)


def total(usages: list[Usage]) -> Usage:
    """What calls used together, in tokens; each must say."""
    return Usage(
        input_tokens=sum(known(usage.input_tokens) for usage in usages),
        output_tokens=sum(known(usage.output_tokens) for usage in usages),
        cached_tokens=sum(known(usage.cached_tokens) for usage in usages),
    )


def known(number: int | None) -> int:
    """A number that is there."""
    assert number is not None
    return number
