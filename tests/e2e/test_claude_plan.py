"""The pipeline with the real Claude Code CLI: six tasks, a diamond and a chain, one of which first breaks a test."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it has no types of its own, and its stubs are for this file only
import pytest

import graftline
from graftline.agents.outcome import OutcomeKind
from graftline.errors import ExitCode
from graftline.ledger import Call, Ledger, Role
from graftline.report.model import HealOutcome, RunState, TaskState
from graftline.store import RunFolder
from tests.e2e.graftline_process import Finished, Graftline, RecordedClaude, git, new_repository
from tests.model_server import ModelServer, RequestRecord

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

PROJECT = {
    "shop/__init__.py": "",
    "shop/items.py": "def parse(text):\n    return int(text)\n",
    "tests/test_items.py": (
        "from shop.items import parse\n\n\ndef test_a_price_is_in_cents():\n    assert parse('125') == 125\n"
    ),
}


@dataclass(frozen=True)
class Step:
    """One task: what it waits for, and the file its agent writes once it has read those of the tasks before."""

    id: str
    after: tuple[str, ...]
    path: str
    content: str
    overwrites: bool = False

    @property
    def prompt(self) -> str:
        """Words that only this task's prompt holds, and characters that templates, shells and Markdown would change."""
        return f'BUILD-{self.id}: write `{self.path}`.\n\n    keep "this" & {{that}}, $HOME, \\n, 100 %, <b>Ünïcödé</b>'


STEPS = (
    Step("stock", (), "shop/stock.py", 'STOCK = {"pen": "125", "ink": "$2.50"}\n'),
    Step("search", ("stock",), "shop/search.py", "from shop.stock import STOCK\n\nNAMES = sorted(STOCK)\n"),
    # Reads cents as dollars, which the test that is already there does not accept.
    Step(
        "prices",
        ("stock",),
        "shop/items.py",
        "def parse(text):\n    return round(float(text) * 100)\n",
        overwrites=True,
    ),
    Step(
        "summary", ("search", "prices"), "shop/summary.py", "from shop.search import NAMES\n\nTEXT = ', '.join(NAMES)\n"
    ),
    Step("command", ("summary",), "shop/__main__.py", "from shop.summary import TEXT\n\nprint(TEXT)\n"),
    Step("guide", ("command",), "GUIDE.md", "Run `python -m shop`.\n"),
)
BY_ID = {step.id: step for step in STEPS}
HEALED = "def parse(text):\n    return round(float(text[1:]) * 100) if text.startswith('$') else int(text)\n"
FAILING_TEST = "tests/test_items.py::test_a_price_is_in_cents"
HEAL_MATCH = "# Failing tests"


def plan() -> str:
    """The plan as a person writes it: structure in front, prompts below."""
    tasks = [{"id": step.id, "title": f"Title of {step.id}", "depends_on": list(step.after)} for step in STEPS]
    front = json.dumps({"version": "1", "title": "Grow the shop", "tasks": tasks})
    return "\n".join([f"---\n{front}\n---\n", *(f"## {step.id}\n\n{step.prompt}\n" for step in STEPS)])


def scenario() -> dict[str, object]:
    """What the model says to each agent; a heal call quotes its task's prompt, so its scenario comes first."""
    heal = {
        "match": HEAL_MATCH,
        "turns": [
            {
                "tools": [{"write": {"path": "shop/items.py", "content": HEALED, "overwrite": True}}],
                "usage": {"input_tokens": 2100, "output_tokens": 130, "cache_read_tokens": 700},
            },
            {"text": "Plain numbers are cents again."},
        ],
    }
    tasks = [
        {
            "match": f"BUILD-{step.id}:",
            "turns": [
                {"tools": [{"read": BY_ID[name].path} for name in step.after] or [{"read": "shop/items.py"}]},
                {
                    "tools": [
                        {"write": {"path": step.path, "content": step.content, "overwrite": step.overwrites}},
                    ],
                    "usage": {"input_tokens": 1000 + 111 * number, "output_tokens": 70 + number},
                },
                {"text": f"{step.path} is written."},
            ],
        }
        for number, step in enumerate(STEPS)
    ]
    return {"scenarios": [heal, *tasks]}


@dataclass(frozen=True)
class Landed:
    """The one run that all tests of this file look at."""

    finished: Finished
    repository: Path
    folder: RunFolder
    state_dir: Path
    requests: tuple[RequestRecord, ...]
    calls: tuple[Call, ...]

    def prompt_of(self, step: Step, *, heal: bool = False) -> str:
        """What the agent of a task, or its healer, was told."""
        return next(
            record.text
            for record in self.requests
            if record.scenario and step.prompt in record.text and (HEAL_MATCH in record.text) == heal
        )


@pytest.fixture(scope="module")
def landed(claude_binary: Path, state_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landed]:
    """The plan, run once."""
    folder = tmp_path_factory.mktemp("six-tasks")
    home = folder / "home"
    home.mkdir()
    repository = new_repository(folder / "repository", PROJECT)
    with ModelServer() as server:
        server.scenario(scenario())
        runner = Graftline(RecordedClaude.around(claude_binary, folder / "bin"), state_dir, home, server.url)
        finished = runner.run_plan(repository, plan())
        assert finished.status == ExitCode.SUCCESS, finished.stdout + finished.stderr
        report = finished.report
        calls = Ledger.open(state_dir).account(report.flow_run_id).calls
        yield Landed(finished, repository, runner.folder_of(report), state_dir, server.requests(), calls)


def test_a_plan_of_six_tasks_lands(landed: Landed) -> None:
    report = landed.finished.report
    assert (report.state, report.landed_commit) == (RunState.LANDED, git(landed.repository, "rev-parse", "main"))
    assert [(task.id, task.state, len(task.attempts)) for task in report.tasks] == [
        (step.id, TaskState.SUCCEEDED, 1) for step in STEPS
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


def test_the_ledger_holds_what_claude_says_it_cost(landed: Landed) -> None:
    logs = sorted(landed.folder.path.rglob("agent.log"))
    events = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    said = [event["total_cost_usd"] for event in events if event["type"] == "result"]
    assert len(said) == len(logs) == len(STEPS) + 1, "six tasks and a heal"
    report = landed.finished.report
    assert sorted(call.usage.cost_usd or 0 for call in landed.calls) == pytest.approx(sorted(said))
    assert len(set(said)) == len(said), "calls that cost the same could be taken for each other"
    assert report.cost_usd == pytest.approx(sum(said))
    assert sum(attempt.cost_usd or 0 for task in report.tasks for attempt in task.attempts) + sum(
        heal.cost_usd or 0 for heal in report.heals
    ) == pytest.approx(sum(said))


def test_a_red_test_is_healed_by_one_more_call_to_the_agent_that_broke_it(landed: Landed) -> None:
    [heal] = landed.finished.report.heals
    assert (heal.task, heal.round, heal.tests, heal.outcome) == ("prices", 1, (FAILING_TEST,), HealOutcome.HEALED)
    [call] = [call for call in landed.calls if call.role is Role.HEAL]
    assert (call.task, call.outcome) == ("prices", OutcomeKind.OK)


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
    assert sorted(tasks) == sorted([*BY_ID, "prices"]), "one of each, and the heal of `prices`"
    assert tasks[-1] == "prices"
    assert all(tasks.index(before) < tasks.index(step.id) for step in STEPS for before in step.after)
    assert {run for _, _, run in merges} == {landed.finished.report.run}
