"""A plan written as a Python file: it holds the same plan, runs alone, and can be deployed."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftline.cli.emitted import flow_text
from graftline.plan import Plan
from tests.cli.conftest import Project, finish

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(str.strip)
NASTY = st.sampled_from(
    ['"""', "'''", "\\", "{title}", "%s", "\n", '"""\nraise SystemExit(9)\n"""', "é", "\u202e", "#"]
)
PROMPTS = st.lists(st.one_of(ANY_TEXT, NASTY), min_size=1, max_size=4).map(" x ".join).filter(str.strip)
LINES = PROMPTS.map(lambda text: "".join(char for char in text if char.isprintable())[:100].strip() or "x")


def plan_in(text: str) -> Plan:
    """What an emitted file calls PLAN; Prefect is not imported for it."""
    module = ast.parse(text)
    wanted: list[ast.stmt] = [
        node
        for node in module.body
        if (isinstance(node, ast.ImportFrom) and "Plan" in {alias.name for alias in node.names})
        or (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "PLAN")
    ]
    assert len(wanted) == 2
    names: dict[str, object] = {}
    exec(compile(ast.Module(wanted, []), "emitted.py", "exec"), names)  # noqa: S102 - our own text is what is tested
    plan = names["PLAN"]
    assert isinstance(plan, Plan)
    return plan


@settings(deadline=None, max_examples=60)
@given(title=LINES, prompts=st.lists(PROMPTS, min_size=1, max_size=3), source=LINES, name=LINES)
def test_whatever_a_plan_holds_the_file_is_python_and_holds_the_same(
    title: str, prompts: list[str], source: str, name: str
) -> None:
    tasks = [{"id": f"t{number}", "prompt": prompt} for number, prompt in enumerate(prompts)]
    plan = Plan.model_validate({"title": title, "tasks": tasks})

    text = flow_text(plan, source=source, name=name)

    assert plan_in(text) == plan
    assert [type(node).__name__ for node in ast.parse(text).body] == [
        *("Expr", "ImportFrom", "ImportFrom", "Assign", "Assign", "If"),
        *("ImportFrom", "ImportFrom", "ImportFrom", "AsyncFunctionDef"),
    ]


@pytest.fixture
def emitted(served_project: Project) -> Path:
    """A plan of the project's, written as a Python file."""
    written = served_project.run("plan", served_project.plan, "--emit", "emitted.py")
    assert (written.code, "prefect deploy emitted.py:build_plan" in written.stderr) == (0, True)
    return served_project.path / "emitted.py"


def test_a_file_is_never_overwritten(served_project: Project, emitted: Path) -> None:
    before = emitted.read_bytes()

    again = served_project.run("plan", served_project.plan, "--emit", emitted)

    assert (again.code, "exists: name another file" in again.stderr) == (2, True)
    assert emitted.read_bytes() == before


@pytest.mark.prefect
def test_an_emitted_plan_runs_alone_on_the_repository_it_is_started_in(served_project: Project, emitted: Path) -> None:
    served_project.plan.unlink()

    ended = finish(served_project.start(emitted))

    assert ended.code == 0, ended.stderr
    assert "Landed: main is now at" in ended.stdout
    assert re.search(r"^Prefect UI: http://127\.0\.0\.1:\d+/runs", ended.stderr, re.MULTILINE)
    assert served_project.git("show", "main:new.txt") == "content"


def test_an_emitted_plan_that_cannot_run_says_why_without_a_trace(served_project: Project, emitted: Path) -> None:
    served_project.git("checkout", "-q", "--detach")

    ended = finish(served_project.start(emitted))

    assert (ended.code, ended.stdout) == (2, "")
    assert "is detached" in ended.stderr
    assert "Traceback" not in ended.stderr
