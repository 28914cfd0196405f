"""`graftline plan`: what is to be expected of a plan, for people and for programs, and the plan as a file."""

import re
import shutil
from pathlib import Path

import pytest

from graftline.cli import main
from graftline.manifest import load_manifest
from graftline.planning.preview import Preview
from tests.cli.conftest import Project
from tests.e2e.planner import asked, planner_scenario, planner_settings
from tests.model_server import ModelServer
from tests.planning.drafting import draft, task

PLAN: list[dict[str, object]] = [
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
    assert [(one.first, one.second) for one in preview.prospects.forecast.conflicts] == [("parse", "show")]
    assert preview.prospects.forecast.advice.reason
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

    assert capfd.readouterr().out.splitlines() == [
        "Plan    A plan: 3 tasks",
        "  parse    A parser",
        "  show     ## Show it",
        "  └─ join  do join (also after parse)",
        "Note    what these tasks write is unknown, so nothing keeps them apart: 'join' (`writes` says it)",
    ]


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


def test_a_request_becomes_a_plan_that_is_shown_with_what_it_cost_and_is_paid_for_once(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    request = "Let people be greeted by name."
    answer = draft(task("greet", acceptance=[], untested="a name"), task("part", "greet", acceptance=[], untested="b"))
    with ModelServer() as server:
        with (project.path / "graftline.toml").open("a") as settings:
            settings.write(planner_settings(server))
        server.scenario({"scenarios": [planner_scenario(request, [answer])]})

        assert main(["plan", "-p", request, "--out", "plan.md"]) == 0
        said = capfd.readouterr()
        assert main(["plan", "-p", request, "--json"]) == 0
        again = Preview.model_validate_json(capfd.readouterr().out)

        assert len(asked(server.requests())) == 1

    assert said.out.startswith("Plan    Grow: 2 tasks\n  greet    Add greet\n  └─ part  Add part\n")
    assert re.search(r"^Cost    .*, of which planning was \$0\.\d\d, within the cap", said.out, re.MULTILINE)
    assert "planner: anthropic" in said.err
    assert "wrote plan.md" in said.err
    assert again.plan == load_manifest(Path("plan.md")).plan
    assert again.by == "planner"
    assert main(["run", "plan.md", "--dry-run"]) == 0


def test_without_a_planner_the_three_ways_to_get_one_are_said(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("git", "sh"):
        (project.outside / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(project.outside))  # where no agent CLI is
    monkeypatch.setenv("GRAFTLINE_AGENT__BACKEND", "claude-code")  # which is missing too, and comes second
    for variable in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)

    assert main(["plan", "-p", "Add a parser"]) == 3

    said = capfd.readouterr()
    assert said.out == ""
    assert "There are three ways to get a planner" in said.err
