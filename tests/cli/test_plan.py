"""`graftline plan`: what is to be expected of a plan, for people and for programs, and the plan as a file."""

from pathlib import Path

import pytest

from graftline.cli import main
from graftline.manifest import load_manifest
from graftline.planning.preview import Preview
from tests.cli.conftest import Project

PLAN = [
    {"id": "parse", "title": "A parser", "size": "small", "writes": ["src/parse.py", "src/notes.txt"]},
    {"id": "show", "writes": ["src/show.py"], "prompt": "## Show\n\nit\n"},
    {"id": "join", "depends_on": ["parse", "show"], "acceptance": {"tests/test_join.py": "assert True\n"}},
]


@pytest.fixture(autouse=True)
def inside(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in the repository, with the project's state directory."""
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("GRAFTLINE_STATE_DIR", str(project.state_dir))
    project.write_plan(PLAN, {})


@pytest.mark.parametrize("suffix", [".md", ".yaml", ".json"])
def test_a_plan_that_is_written_is_the_same_plan_and_can_be_run(
    project: Project, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    written = project.outside / f"written{suffix}"

    assert main(["plan", str(project.plan), "--out", str(written)]) == 0
    said = capfd.readouterr()
    assert said.err == f"wrote {written}\n  run it:     graftline run '{written}'\n"
    assert load_manifest(written).plan == load_manifest(project.plan).plan

    assert main(["run", str(written), "--dry-run"]) == 0
    assert capfd.readouterr().err.startswith(said.out), "a run says the same of it before it begins"


def test_json_is_all_that_is_printed_and_holds_all_that_is_known(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    before = project.snapshot()

    assert main(["plan", str(project.plan), "--json"]) == 0

    said = capfd.readouterr()
    preview = Preview.model_validate_json(said.out)
    assert said.err == ""
    assert (preview.by, preview.plan) == ("request", load_manifest(project.plan).plan)
    assert preview.prospects is not None
    assert {task: agent.profile for task, agent in preview.prospects.agents.items()} == dict.fromkeys(
        ["parse", "show", "join"], "scripted"
    )
    assert [(one.first, one.second) for one in preview.prospects.conflicts] == [("parse", "show")]
    assert preview.prospects.advice.reason
    assert project.snapshot() == before


def test_markdown_is_a_page_with_a_diagram(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(project.plan), "--markdown"]) == 0

    page = capfd.readouterr().out
    assert page.startswith("# A plan: 3 tasks\n")
    assert "  t0 --> t2\n  t1 --> t2\n```" in page


def test_a_plan_can_be_looked_at_anywhere(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.outside)

    assert main(["plan", str(project.plan)]) == 0

    tree = [line.split("  ")[1:] for line in capfd.readouterr().out.splitlines()[1:4]]
    assert [task for task, *_ in tree] == ["parse", "└─ join", "show"]


def test_what_may_collide_is_said_to_be_unknown_where_there_is_no_branch_to_start_from(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    project.git("checkout", "-q", "--detach")

    assert main(["plan", str(project.plan)]) == 0

    shown = capfd.readouterr().out
    assert "Note    what may collide is not known: " in shown
    assert "Risk" not in shown
    assert "Cost" in shown


def test_a_file_in_the_way_is_found_before_a_plan_is_made(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    (Path("there.md")).write_text("mine")

    assert main(["plan", "-p", "Add a parser", "--out", "there.md"]) == 2

    assert "there.md exists" in capfd.readouterr().err
    assert Path("there.md").read_text() == "mine"
    assert not project.state_dir.exists()
