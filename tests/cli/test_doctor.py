"""`graftline doctor`: what is installed of each agent, what is missing, and whether that is in the way here."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from graftline.agents.profiles import PROFILE_TYPES
from graftline.cli import main
from tests.cli.conftest import Project

SECRET = "sk-ant-secret"


@pytest.fixture(autouse=True)
def inside(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in the repository, with git and a Claude Code CLI of a tested version on PATH, and a key for it."""
    cli = tmp_path / "bin" / "claude"
    cli.parent.mkdir()
    cli.write_text("#!/bin/sh\necho '2.1.329 (Claude Code)'\n")
    cli.chmod(0o755)
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("PATH", f"{cli.parent}:/usr/bin:/bin")
    monkeypatch.setenv("GRAFTLINE_STATE_DIR", str(project.state_dir))
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)


def configure(project: Project, text: str) -> None:
    """Add to the repository's settings."""
    file = project.path / "graftline.toml"
    file.write_text(file.read_text() + text)


def test_what_is_there_is_said_without_any_secret_and_nothing_is_written(
    project: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(project, '[agents.deep]\ntype = "claude-code"\nmodel = "opus"\ntier = "deep"\n')
    configure(project, '[models]\nlabels = {locking = "deep"}\n')
    before = project.snapshot()

    assert main(["doctor"]) == 0

    said = capfd.readouterr()
    lines = said.out.splitlines()
    claude = f"ready; 2.1.329, tested; {tmp_path}/bin/claude; ANTHROPIC_API_KEY; api.anthropic.com"
    assert lines[0].startswith("git       2.")
    assert lines[1:3] == [
        f"settings  {project.path}/graftline.toml",
        "server    graftline's own, which starts with a run",
    ]
    assert lines[3].startswith(f"state     {project.state_dir}, ")
    assert lines[4].startswith("tests     sh -c ! test -e broken.txt (python 3.")
    assert lines[5].startswith("planner   anthropic ")
    assert lines[5].endswith(", api.anthropic.com, ANTHROPIC_API_KEY (the first that can be asked)")
    assert [line for line in lines if line.startswith("  claude-code ")] == [f"  claude-code               {claude}"]
    assert lines[-4:] == [
        "profiles",
        f"  scripted (command)        ready; used here; {sys.executable}",
        f"  deep (claude-code, deep)  ready; used here{claude.removeprefix('ready')}",
        "Ready: what the settings use can run",
    ]
    assert SECRET not in said.out + said.err
    assert project.snapshot() == before


def test_what_is_missing_and_needed_here_is_named_with_how_to_get_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("GRAFTLINE_AGENT__BACKEND", "claude-code")
    monkeypatch.setenv("GRAFTLINE_TEST__COMMAND", '["no-such-runner"]')
    monkeypatch.setenv("GRAFTLINE_PLANNER__AGENT", "codex")

    assert main(["doctor", "--json"]) == 3

    answer = json.loads(capfd.readouterr().out)
    assert (answer["ready"], answer["missing"]) == (False, ["tests", "planner", "claude-code"])
    types = {agent["name"]: agent for agent in answer["types"]}
    assert list(types) == list(PROFILE_TYPES), "every type that there is"
    assert [agent["is_used"] for agent in answer["profiles"]] == [False]
    assert types["claude-code"]["is_used"]
    assert "npm install -g @anthropic-ai/claude-code" in types["claude-code"]["probe"]["problems"][0]
    assert types["command"]["probe"]["problems"] == [
        'it needs a profile: write [agents.NAME] with type = "command" and its `command`'
    ]
    (tests,) = (check for check in answer["checks"] if check["name"] == "tests")
    assert (tests["found"], "no-such-runner" in tests["problem"]) == ("", True)


def test_outside_of_a_repository_the_defaults_count(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.outside)
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    login = Path(os.environ["HOME"]) / ".claude" / ".credentials.json"
    login.parent.mkdir()
    login.write_text("{}")

    assert main(["doctor"]) == 0

    said = capfd.readouterr().out
    assert "settings  the defaults and variables (. is not in a git repository" in said
    assert "tests     not looked for without a repository\n" in said
    assert re.search(r"^planner   claude-code 2\.1\.329, .* login in ", said, re.MULTILINE)
    assert re.search(r"^  claude-code +ready; used here; ", said, re.MULTILINE)
    assert not project.state_dir.exists()


def test_broken_settings_are_said_and_everything_else_all_the_same(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(project, "[cost]\nmax_used = 1\n")
    monkeypatch.delenv("ANTHROPIC_API_KEY")

    assert main(["doctor"]) == 3

    lines = capfd.readouterr().out.splitlines()
    assert lines[1:3] == [
        "settings  problem: 1 problem in the settings:",
        f"          {project.path}/graftline.toml:12: unknown key 'cost.max_used'; did you mean 'max_usd'?",
    ]
    assert "    problem: no credentials: set ANTHROPIC_API_KEY" in "\n".join(lines)
    assert lines[-1] == "Not ready: settings"


def test_a_configured_server_that_does_not_answer_is_a_problem(project: Project) -> None:
    ended = project.run("doctor", PATH=os.environ["PATH"], PREFECT_API_URL="http://127.0.0.1:9/api")

    assert ended.code == 3
    assert "server    problem: no Prefect server answers at http://127.0.0.1:9/api (" in ended.stdout
    assert ended.stdout.endswith("Not ready: server\n")
