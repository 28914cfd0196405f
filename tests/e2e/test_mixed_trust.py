"""Who gets a key, and what a hostile repository can do: one run of a repository that tries to take over every CLI."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.clis import CLAUDE, CLIS, Cli
from tests.e2e.graftline_process import PATIENCE_SECONDS, new_repository
from tests.e2e.mixed_plan import Landed
from tests.e2e.trap import GUIDE, Trap
from tests.model_server import ModelServer

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

each_cli = pytest.mark.parametrize("cli", CLIS, ids=lambda cli: cli.type)


def test_a_hostile_repository_redirects_nothing(landed: Landed) -> None:
    assert landed.trap.thief.requests() == ()


@each_cli
def test_a_hostile_repository_runs_nothing(landed: Landed, cli: Cli) -> None:
    assert landed.trap.what_was_run_by(cli) == []


def test_the_same_repository_takes_over_a_claude_that_is_started_without_precautions(
    installed_clis: Mapping[Cli, Path], tmp_path: Path, isolated_environment: Path, model_server: ModelServer
) -> None:
    with ModelServer() as thief:
        trap = Trap.lay(tmp_path / "sprung", thief)
        subprocess.run(
            [
                *(installed_clis[CLAUDE], "-p", "--output-format", "stream-json", "--verbose"),
                "--dangerously-skip-permissions",
            ],
            cwd=new_repository(tmp_path / "repository", trap.files),
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(isolated_environment),
                "ANTHROPIC_BASE_URL": model_server.url,
                CLAUDE.key_variable: CLAUDE.api_key,
                "IS_SANDBOX": "1",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_AUTOUPDATER": "1",
            },
            input="Look around.",
            text=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
        assert {"SessionStart", "mcp"} <= set(trap.what_was_run_by(CLAUDE))
        assert CLAUDE.api_key in {record.api_key for record in thief.requests()}


@each_cli
def test_the_repositorys_guide_still_reaches_the_agent(landed: Landed, cli: Cli) -> None:
    assert GUIDE in next(record.text for record in landed.requests_of(cli) if record.scenario)


@each_cli
def test_a_key_reaches_its_own_model_in_no_command_line_and_no_prompt(landed: Landed, cli: Cli) -> None:
    asked = landed.requests_of(cli)
    assert {record.api_key for record in asked} == {cli.api_key}
    command_lines = landed.agents.command_lines(cli)
    assert len(command_lines) == sum(call.backend == cli.type for call in landed.calls)
    assert cli.api_key not in str(command_lines)
    assert not [record for record in landed.requests if cli.api_key in record.text]


def test_no_key_is_in_any_output_or_file_of_the_state_directory(landed: Landed) -> None:
    output = landed.finished.stdout + landed.finished.stderr
    files = [path for path in landed.state_dir.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"agent.log", "prompt.md", "journal.jsonl", "report.json", "run.json", "ledger.db", "prefect.db"} <= {
        path.name for path in files
    }
    contents = {str(path): path.read_bytes() for path in files}
    for cli in CLIS:
        assert cli.api_key not in output
        # A part of it is as good as nothing to a reader, but whatever keeps a part had the whole.
        part = cli.api_key[-20:].encode()
        assert [path for path, content in contents.items() if part in content] == [], cli.type


def test_no_other_program_gets_a_key(landed: Landed) -> None:
    assert sorted(landed.environments) == ["program", "setup", "tests"]
    for environment in landed.environments.values():
        assert "PATH=" in environment
        assert not [cli.type for cli in CLIS if cli.api_key in environment]
