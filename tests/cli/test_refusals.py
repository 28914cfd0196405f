"""What is refused is refused before anything is written or started, with a message and an exit code of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from graftline.cli import main
from tests.cli.conftest import Project
from tests.conftest import run_git

Break = Callable[[Path], object]


@pytest.fixture(autouse=True)
def inside(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in the repository, with the project's state directory."""
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("GRAFTLINE_STATE_DIR", str(project.state_dir))


def bare(path: Path) -> None:
    run_git(path, "config", "core.bare", "true")


def empty(path: Path) -> None:
    run_git(path, "update-ref", "-d", "refs/heads/main")


def detached(path: Path) -> None:
    run_git(path, "checkout", "-q", "--detach")


def merging(path: Path) -> None:
    (path / ".git" / "MERGE_HEAD").write_text(run_git(path, "rev-parse", "HEAD") + "\n")


def rebasing(path: Path) -> None:
    (path / ".git" / "rebase-merge").mkdir()


def in_the_way(path: Path) -> None:
    run_git(path, "branch", "graftline")


def shallow_and_broken(path: Path) -> None:
    blob = run_git(path, "rev-parse", "HEAD:src/notes.txt")
    (path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    run_git(path, "config", "extensions.partialClone", "origin")


def without_tests(path: Path) -> None:
    text = (path / "graftline.toml").read_text()
    (path / "graftline.toml").write_text(text.replace('command = ["sh"', '# command = ["sh"'))


def unknown_setting(path: Path) -> None:
    (path / "graftline.toml").write_text("[cost]\nmax_used = 1\n")


def missing_runner(path: Path) -> None:
    text = (path / "graftline.toml").read_text()
    (path / "graftline.toml").write_text(text.replace('command = ["sh"', 'command = ["no-such-runner"'))


@pytest.mark.parametrize(
    ("break_it", "code", "words"),
    [
        (bare, 2, ["bare"]),
        (empty, 2, ["no commit yet", "git commit"]),
        (detached, 2, ["detached", "--target"]),
        (merging, 2, ["unfinished merge", "finish or abort"]),
        (rebasing, 2, ["unfinished rebase"]),
        (in_the_way, 2, ["branch 'graftline'", "in the way", "rename it"]),
        (shallow_and_broken, 2, ["partial clone", "missing"]),
        (without_tests, 2, ["No tests were found", "[test] command", 'runner = "none"']),
        (unknown_setting, 2, ["graftline.toml", "max_used", "max_usd"]),
        (missing_runner, 3, ["no-such-runner", "not an executable"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_repository_that_cannot_be_used_is_refused_untouched(
    break_it: Break, code: int, words: list[str], project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    break_it(project.path)
    before = project.snapshot()

    assert main(["run", str(project.plan)]) == code

    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("graftline: ")
    assert [word for word in words if word not in said.err] == []
    assert project.snapshot() == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run"], 2, ["graftline run FILE"]),
        (["run", "PLAN", "-p", "add a cache"], 2, ["graftline run FILE", "graftline run -p"]),
        (["run", "-p", "add a cache", "-f", "prompt.txt"], 2, ["--prompt-file, not with both"]),
        (["run", "-p", "x" * 100_001], 2, ["at most 100000 characters"]),
        (["run", "-f", "prompt.txt"], 2, ["prompt.txt", "cannot be read"]),
        (["run", "PLAN", "--bogus"], 2, ["--bogus"]),
        (["run", "PLAN", "--agents", "many"], 2, ["--agents", "many"]),
        (["run", "PLAN", "--agents", "0"], 2, ["--agents 0", "greater than or equal to 1"]),
        (["run", "PLAN", "--max-cost", "-1"], 2, ["--max-cost -1", "greater than or equal to 0"]),
        (["run", "PLAN", "--max-cost", "nan"], 2, ["--max-cost nan"]),
        (["run", "PLAN", "--timeout", "0"], 2, ["--timeout 0", "greater than 0"]),
        (["run", "PLAN", "--task-timeout", "inf"], 2, ["--task-timeout inf"]),
        (["run", "PLAN", "--land", "pr"], 2, ["--land", "auto"]),
        (["run", "PLAN", "--target", "nope"], 2, ["'nope'"]),
        (["run", "PLAN", "--backend", "nope"], 2, ["nope"]),
        (["run", "PLAN", "--backend", "claude-code"], 3, ["'claude' is not an executable", "npm install"]),
        (["run", "PLAN", "--report", "report.txt"], 2, ["report.txt", ".json or .md"]),
        (["run", "nope.yaml", "--report", "report.txt"], 2, ["report.txt"]),
        (["run", "PLAN", "--report", "no/such/report.md"], 2, ["there is no folder no/such"]),
        (["run", "nope.yaml"], 2, ["nope.yaml", "cannot be read", "No such file"]),
        (["run", "nope.txt"], 2, [".md", ".yaml"]),
        (["run", "PLAN", "--repository", "/"], 2, ["not in a git repository", "git init"]),
        (["run", "PLAN", "--repository", "/no/such/folder"], 2, ["is not a folder"]),
        (["plan", "nope.yaml"], 2, ["nope.yaml", "cannot be read"]),
        (["plan", "PLAN", "--emit", "flow.txt"], 2, ["flow.txt", ".py"]),
        (["plan", "PLAN", "--emit", "no/such/flow.py"], 2, ["flow.py", "there is no folder"]),
        (["plan", "PLAN", "--out", "plan.txt"], 2, ["--out plan.txt", ".yaml"]),
        (["plan", "PLAN", "--out", "PLAN"], 2, ["exists: name another file"]),
        (["plan", "PLAN", "--json", "--markdown"], 2, ["one of --json and --markdown"]),
        (["plan", "PLAN", "-p", "x"], 2, ["graftline plan FILE"]),
        (["plan"], 2, ["graftline plan FILE"]),
        (["status"], 2, ["no runs yet", "graftline run"]),
        (["status", "some-run"], 2, ["some-run"]),
        (["logs", "only"], 2, ["no runs yet"]),
        (["diff"], 2, ["no runs yet"]),
        (["take"], 2, ["no runs yet"]),
        (["ui", "some-run", "--no-open-browser"], 2, ["some-run"]),
        (["dance"], 2, ["dance"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_that_cannot_be_carried_out_says_why_and_changes_nothing(
    arguments: list[str],
    code: int,
    words: list[str],
    project: Project,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    before = project.snapshot()

    assert main([str(project.plan) if word == "PLAN" else word for word in arguments]) == code

    said = capfd.readouterr()
    assert said.out == ""
    assert [word for word in words if word not in said.err] == []
    assert "Traceback" not in said.err
    assert project.snapshot() == before


def test_all_problems_of_a_plan_are_said_at_once_with_their_lines(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    project.plan.write_text(
        'version: "1"\ntasks:\n  - id: a\n    promt: x\n    prompt: y\n  - id: b\n    prompt: z\n    depends_on: [c]\n'
    )
    before = project.snapshot()

    assert main(["run", str(project.plan)]) == 2

    said = capfd.readouterr().err
    assert "2 problems in the plan" in said
    assert f"{project.plan}:4: task 'a'" in said
    assert f"{project.plan}:8: task 'b'" in said
    assert project.snapshot() == before


def test_text_of_a_plan_cannot_steer_the_terminal(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    project.write_plan([{"id": "only", "prompt": "\x1b[2Jgone\x1b]0;title\x07"}], {})

    assert main(["run", str(project.plan), "--dry-run"]) == 0
    assert main(["plan", str(project.plan)]) == 0
    assert main(["run", str(project.plan), "--target", "\x1b[2Jnope"]) == 2

    said = capfd.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "gone" in said.out


def test_a_dry_run_says_what_would_run_and_writes_nothing(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    first = {"id": "first", "title": "Do it", "writes": ["a"]}
    project.write_plan([first, {"id": "second", "depends_on": ["first"], "writes": ["b"]}], {})
    before = project.snapshot()

    assert main(["run", str(project.plan), "--dry-run", "--agents", "7", "--max-cost", "1.5", "--land", "branch"]) == 0

    said = capfd.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    commit = project.git("rev-parse", "--short=12", "HEAD")
    assert lines[:16] == [
        "Plan    A plan: 2 tasks",
        "  first      Do it",
        "  └─ second  do second",
        "  Task    Agent     Cost            Time            Writes",
        "  first   scripted  $0.01 to $0.02  60 s to 20 min  a",
        "  second  scripted  $0.01 to $0.02  60 s to 20 min  b",
        "Cost    $0.02 to $0.03, within the cap of $1.50",
        "Time    3 to 51 min",
        "Basis   prior: no runs of this repository yet; a call of scripted costs $0.01 (80% intervals)",
        "Path    first, second: the chain that takes longest",
        "At once 1 agent, of 7 that are allowed",
        "Advice  one agent: the tasks wait for one another: 100% of the work is one chain",
        f"Agent   command ({sys.executable})",
        "Tests   sh -c ! test -e broken.txt",
        f"Target  main at {commit}, which stays; a branch gets the result",
        "Cap     $1.50",
    ]
    assert project.snapshot() == before


def test_a_plan_says_who_does_each_task_and_who_comes_after_a_failed_attempt(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = (project.path / "graftline.toml").read_text().replace("cost_usd", 'tier = "fast"\ncost_usd')
    settings += '[agents.better]\ntype = "command"\ncommand = ["true"]\ntier = "deep"\n'
    settings += '[models]\nescalation = ["deep"]\nlabels = {hard = "deep"}\n'
    (project.path / "graftline.toml").write_text(settings)
    project.write_plan([{"id": "easy", "writes": ["a"]}, {"id": "harder", "writes": ["b"], "labels": ["hard"]}], {})

    assert main(["plan", str(project.plan)]) == 0
    assert main(["run", str(project.plan), "--dry-run"]) == 0

    said = capfd.readouterr()
    shown = said.out.splitlines()
    assert shown == said.err.splitlines()[: len(shown)]
    assert [line for line in shown if "(deep)" in line or "(fast)" in line] == [
        "  easy    scripted (fast)  $0.01 to $0.02  60 s to 20 min  a",
        "  harder  better (deep)    unknown         60 s to 20 min  b",
        "Retries after a failed attempt, by the next deeper of better (deep)",
    ]

    project.write_plan([{"id": "only", "tier": "standard"}], {})

    assert main(["plan", str(project.plan)]) == main(["run", str(project.plan)]) == 2
    assert "task 'only' asks for the tier 'standard', which no profile has" in capfd.readouterr().err


def test_a_dry_run_works_from_a_folder_within_the_repository(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path / "src")

    assert main(["run", "../../outside the repository/plan.yaml", "--dry-run"]) == 0

    assert "Target  main at" in capfd.readouterr().err


def test_config_says_where_each_setting_comes_from(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFTLINE_COST__MAX_USD", "2.5")

    assert main(["config"]) == 0

    lines = {line.split(" = ")[0].strip(): line.split(" = ")[1] for line in capfd.readouterr().out.splitlines()}
    assert lines["cost.max_usd"].split() == ["2.5", "(GRAFTLINE_COST__MAX_USD)"]
    assert lines["agent.backend"].split() == ['"scripted"', "(graftline.toml)"]
    assert lines["heal.max_rounds"].split() == ["3", "(default)"]
    assert not project.state_dir.exists()


PREFECT_IMPORTED = """
import sys
from graftline.cli import main
code = main(sys.argv[1:])
print("prefect" in sys.modules, file=sys.stderr)
raise SystemExit(code)
"""


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [(["--help"], "Commands"), (["--version"], "0."), (["version"], "Prefect 3."), (["run", "--help"], "--dry-run")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_help_and_versions_are_told_without_importing_prefect(
    arguments: list[str], answer: str, project: Project
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREFECT_IMPORTED, *arguments],
        env=project.env(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "False\n")
    assert answer in done.stdout
