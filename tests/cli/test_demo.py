"""`graftline demo`: the whole pipeline for somebody who has nothing but graftline and git."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import graftline
from graftline.report.model import HealOutcome, Report, RunState, TaskState
from tests.cli.conftest import Project, finish
from tests.conftest import run_git

MAKE = "import sys, pathlib; from graftline.cli.demo import make_repository; make_repository(pathlib.Path(sys.argv[1]))"


@pytest.mark.prefect
def test_the_demo_breaks_a_test_heals_it_and_lands(
    served_project: Project, tmp_path: Path, isolated_environment: Path
) -> None:
    (isolated_environment / ".gitconfig").unlink()  # nobody has told git who they are
    folder = tmp_path / "a demo"

    ended = finish(served_project.start("demo", folder, cwd=tmp_path))

    assert ended.code == 0, ended.stderr
    status = served_project.run("status", "--json", "--repository", folder)
    report = Report.model_validate_json(status.stdout)
    assert report.state is RunState.LANDED
    assert report.landed_commit == run_git(folder, "rev-parse", "main")
    assert {task.id: task.state for task in report.tasks} == dict.fromkeys(
        ("stock", "search", "prices", "summary", "command"), TaskState.SUCCEEDED
    )
    assert [(heal.task, heal.outcome) for heal in report.heals] == [("prices", HealOutcome.HEALED)]
    assert run_git(folder, "status", "--porcelain") == ""
    tests = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=folder, capture_output=True, check=True)
    assert b"9 passed" in tests.stdout
    said = [
        "This is the real pipeline .* with a scripted\nagent: it writes what a script says",
        "Plan    Grow the inventory package: 5 tasks",
        r"summary +Summarise .* \(also after search\)",
        "Target  main at .*, which moves when the tests are green",
        r"Prefect UI: http://127\.0\.0\.1:",
        "stock: started with command",
        "testing candidate: .* -m pytest",
        "tests red: 8 passed, 1 failed; .*test_ignores_spaces_around_the_fields",
        "prices: healing, round 1",
        "tests green: 9 passed",
        "main in .*/a demo is now at",
        "Look at the result: +cd '.*/a demo' && git log",
        "Try it with a real agent: .*--backend claude-code",
    ]
    found = [re.search(line, ended.stderr) for line in said]
    assert [line for line, match in zip(said, found, strict=True) if match is None] == []
    places = [match.start() for match in found if match]
    assert places == sorted(places)
    assert "healed" in ended.stdout
    assert "Landed: main is now at" in ended.stdout


def test_the_demo_can_be_made_where_graftline_itself_may_not_be_written(tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    shutil.copytree(Path(graftline.__file__).parent, installed / "graftline")
    for path in [installed, *installed.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        subprocess.run(
            [sys.executable, "-c", MAKE, "made"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": "installed"},
            check=True,
        )
    finally:
        for path in [installed, *installed.rglob("*")]:
            path.chmod(0o755)

    made = tmp_path / "made"
    not_mine = [
        path for path in [made, *made.rglob("*")] if ".git" not in path.parts and not path.stat().st_mode & 0o200
    ]
    assert not_mine == []
    assert run_git(made, "log", "-1", "--format=%s", "start") == "Start"
    assert run_git(made, "status", "--porcelain") == ""
    assert json.dumps(sys.executable) in (made / "graftline.toml").read_text()


def test_the_demo_does_not_touch_a_folder_with_something_in_it(project: Project) -> None:
    before = project.snapshot()

    refused = project.run("demo", project.path)

    assert (refused.code, "is not an empty folder" in refused.stderr) == (2, True)
    assert project.snapshot() == before
