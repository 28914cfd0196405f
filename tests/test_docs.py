"""The documentation, held against the code: every table that lists what the code knows lists all of it, and no more."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import BaseModel

from graftline.agents.outcome import POLICIES
from graftline.agents.profiles import PROFILE_TYPES
from graftline.cli.app import app
from graftline.errors import ExitCode
from graftline.journal import EventKind
from graftline.manifest import parse_plan
from graftline.plan import TaskSpec
from graftline.planning.draft import DraftTask
from graftline.report.model import EXIT_CODES, HealOutcome, Report, TaskState
from graftline.request import BuildRequest, RequestLimits
from graftline.settings import Settings
from graftline.spellings.plan_file import PlanFile, TaskDefaults
from tests.agents.stands import STANDS
from tests.modes.started import Mode
from tests.modes.test_stopping import EVENTS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("examples/README.md"), *ROOT.glob("*/AGENTS.md")])

Row = list[str]


def table(page: Path, heading: str) -> dict[str, Row]:
    """The rows of the page's table whose first column has this heading, by their first cell without its backquotes."""
    rows: dict[str, Row] = {}
    inside = False
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells[0] == heading:
            inside = True
        elif inside and not set(line) <= set("|- "):
            rows[cells[0].strip("`")] = cells[1:]
    assert rows, f"{page.name} has no table whose first column is called {heading!r}"
    assert page.read_text().count(f"| {heading} |") == 1, f"{page.name} has several such tables"
    return rows


def names(rows: Iterable[str]) -> set[str]:
    """The code spans of first cells that name several things at once, as in "`a`, `b`"."""
    return {name.strip("`") for row in rows for name in row.split(", ")}


def values(kind: type[StrEnum]) -> set[str]:
    """The words of an enumeration."""
    return {member.value for member in kind}


def described_settings() -> Iterator[tuple[str, Row]]:
    """Every setting as the README has to show it: key, default and meaning."""
    for section, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name, inner in model.model_fields.items():
                default = json.dumps(inner.get_default(call_default_factory=True))
                yield f"{section}.{name}", [f"`{default}`", inner.description or ""]
        else:
            yield section, ["`{}`", field.description or ""]


def commands(text: str) -> Iterator[list[str]]:
    """The graftline commands that a page tells people to type, as words."""
    for line in re.findall(r"(?:^(?:\$ | {4})|`)(?:\.venv/bin/)?(graftline [a-z][^`\n]*)", text, re.MULTILINE):
        yield shlex.split(re.sub(r"[\[\]…]", "", line), comments=True)


def foreign_plan(key: str) -> dict[str, object]:
    """A plan of parallel-orchestra that uses a key where that tool has it."""
    task: dict[str, object] = {"id": "a", "prompt": "x"}
    plan: dict[str, object] = {"po_plan_version": "0.1", "name": "plan", "tasks": [task]}
    owner = plan if key in {"cwd", "concurrency_limits", "on_complete", "on_failure"} else task
    owner[key] = 1
    return plan


def reason_of(cell: str) -> str:
    """A reason as the command says it: without markup, and without what the page adds in brackets."""
    return re.sub(r" \(.*\)$", "", cell.replace("`", ""))


def test_the_readme_shows_every_setting_with_its_default() -> None:
    assert table(README, "setting") == dict(described_settings())


def test_the_readme_lists_every_exit_code() -> None:
    assert set(table(README, "code")) == {str(int(code)) for code in ExitCode}


def test_the_readme_and_the_page_on_plans_list_every_key_of_a_task() -> None:
    expected = set(TaskSpec.model_fields)

    assert set(table(README, "key of a task")) == expected
    assert set(table(DOCS / "plan-format.md", "key of a task")) == expected


def test_the_page_on_plans_lists_every_key_of_a_plan_and_of_its_defaults() -> None:
    page = DOCS / "plan-format.md"
    sentence = re.search(r"`defaults` may hold ([^.]*)\.", page.read_text())

    assert set(table(page, "key of the plan")) == set(PlanFile.model_fields)
    assert sentence is not None
    assert set(re.findall(r"`(\w+)`", sentence[1])) == set(TaskDefaults.model_fields)


def test_what_the_page_on_plans_says_is_left_out_of_the_foreign_dialect_is_left_out_for_that_reason() -> None:
    for keys, (reason,) in table(DOCS / "plan-format.md", "left out there").items():
        for key in names([keys]):
            manifest = parse_plan(foreign_plan(key))

            assert any(f"`{key}` is left out: {reason_of(reason)}" in note for note in manifest.notes), manifest.notes


def test_the_page_on_planning_lists_every_key_of_a_drafted_task_and_every_template() -> None:
    page = DOCS / "planning.md"

    assert names(table(page, "key of a drafted task")) == set(DraftTask.model_fields)
    assert names(table(page, "template")) == {path.name for path in ROOT.glob("graftline/planning/templates/*")}


@pytest.mark.parametrize("kind", PROFILE_TYPES)
def test_the_page_on_agents_says_of_every_type_what_it_can_do(kind: str, tmp_path: Path) -> None:
    told = table(DOCS / "agents.md", f"`{kind}` can")
    can = STANDS[kind].make(program=tmp_path).capabilities

    assert list(told) == list(table(DOCS / "agents.md", "`command` can"))
    assert told["resume a session"][0].startswith("yes") is can.resumes
    assert told["keep a money limit"][0].startswith("yes") is can.enforces_budget
    assert told["report its cost"][0].startswith("yes") is can.reports_cost
    assert told["be asked for a plan"][0].startswith("yes") is can.fills_forms


@pytest.mark.parametrize("kind", PROFILE_TYPES)
def test_the_page_on_agents_lists_every_key_of_a_profile(kind: str) -> None:
    assert set(table(DOCS / "agents.md", f"key of `{kind}`")) == set(PROFILE_TYPES[kind].model_fields)


def test_the_page_on_agents_gives_every_outcome_its_policy() -> None:
    documented = {kind: row[0] for kind, row in table(DOCS / "agents.md", "outcome").items()}

    assert documented == {kind.value: policy.value for kind, policy in POLICIES.items()}


def test_the_page_on_agents_lists_the_facts_an_agent_gets() -> None:
    sources = [ROOT / "graftline" / "attempt.py", ROOT / "graftline" / "agents" / "environment.py"]
    given = {fact for path in sources for fact in re.findall(r'"(GRAFTLINE_TASK_[A-Z_]+)"', path.read_text())}

    assert set(table(DOCS / "agents.md", "variable")) == given


def test_the_page_on_reports_gives_every_state_of_a_run_its_exit_code() -> None:
    documented = {state: row[0] for state, row in table(DOCS / "reports.md", "state of a run").items()}

    assert documented == {state.value: str(int(code)) for state, code in EXIT_CODES.items()}


def test_the_page_on_reports_lists_every_state_outcome_and_event() -> None:
    page = DOCS / "reports.md"

    assert set(table(page, "state of a task")) == values(TaskState)
    assert set(table(page, "outcome of a heal")) == values(HealOutcome)
    assert names(table(page, "event")) == values(EventKind)


def test_the_page_on_reports_lists_every_field_of_a_report() -> None:
    listed = {name.removesuffix("[]") for name in names(table(DOCS / "reports.md", "field"))}

    assert listed == set(Report.model_fields)


def test_the_page_on_deployments_lists_every_key_of_a_request() -> None:
    keys = {*BuildRequest.model_fields, *(f"limits.{name}" for name in RequestLimits.model_fields)} - {"limits"}

    assert set(table(DOCS / "deployments.md", "key of the request")) == keys


def test_the_page_on_operations_names_a_test_in_each_cell() -> None:
    rows = table(DOCS / "operations.md", "event")
    named = [re.findall(r"`([\w-]+)`$", cell) for cells in rows.values() for cell in cells]

    assert {name for [name] in named} == {f"{event}-{mode}" for event in EVENTS for mode in Mode} | set(Mode)
    assert len(named) == (len(EVENTS) + 1) * len(Mode)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)", page.read_text())

    assert [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []


def test_every_file_of_the_architecture_table_exists() -> None:
    rows = table(DOCS / "architecture.md", "step")
    paths = {cell.strip("`") for row in rows.values() for cell in row}

    assert {path for path in paths if not (ROOT / path).is_file()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())

    assert {link for link in links if not (page.parent / link).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_that_people_are_told_to_type_exist(page: Path) -> None:
    unknown = []
    for _graftline, command, *arguments in commands(page.read_text()):
        if command not in app:
            unknown.append(command)
            continue
        known = {name for one in app[command].assemble_argument_collection() for name in one.names} | {"--help"}
        unknown += [f"{command} {word}" for word in arguments if word.startswith("-") and word not in known]

    assert unknown == []
