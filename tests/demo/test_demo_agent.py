"""The scripted agent of the demo, which other tests use as well: it does what its script says, step by step."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from graftline.demo import agent


def play(
    folder: Path, script: dict[str, object], *, role: str = "task", attempt: int = 1
) -> "subprocess.CompletedProcess[str]":
    """One call of the agent for the task `t`, in the folder."""
    (folder / "script.yaml").write_text(yaml.safe_dump(script))
    facts = {"GRAFTLINE_TASK_ID": "t", "GRAFTLINE_TASK_ROLE": role, "GRAFTLINE_TASK_ATTEMPT": str(attempt)}
    return subprocess.run(
        [sys.executable, agent.__file__, "script.yaml"],
        cwd=folder,
        env={**os.environ, **facts},
        input="the prompt",
        capture_output=True,
        text=True,
        check=False,
    )


def test_steps_change_the_folder_in_their_order(tmp_path: Path) -> None:
    steps = [
        {"say": "hello"},
        {"write": {"path": "new/a.txt", "text": "one two"}},
        {"edit": {"path": "new/a.txt", "old": "two", "new": "three"}},
        {"write": {"path": "b.txt", "text": ""}},
        {"delete": "b.txt"},
        {"run": ["sh", "-c", "echo shell > c.txt"]},
    ]

    done = play(tmp_path, {"tasks": {"t": steps, "other": [{"exit": 9}]}})

    assert (done.returncode, done.stdout) == (0, "hello\nwrote new/a.txt\nedited new/a.txt\nwrote b.txt\n")
    assert {path.name: path.read_text() for path in tmp_path.rglob("*.txt")} == {
        "a.txt": "one three",
        "c.txt": "shell\n",
    }


def test_an_exit_step_ends_the_call(tmp_path: Path) -> None:
    done = play(tmp_path, {"tasks": {"t": [{"exit": 3}, {"say": "never"}]}})

    assert (done.returncode, done.stdout) == (3, "")


def test_an_edit_of_what_is_not_there_fails(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")

    done = play(tmp_path, {"tasks": {"t": [{"edit": {"path": "a.txt", "old": "two", "new": "three"}}]}})

    assert (done.returncode, done.stderr) == (1, "a.txt does not hold 'two'\n")


@pytest.mark.parametrize(
    ("role", "attempt", "said"),
    [("task", 1, "first\n"), ("task", 2, "second\n"), ("task", 3, "else\n"), ("heal", 1, "healing\n")],
)
def test_attempts_and_heals_have_steps_of_their_own(tmp_path: Path, role: str, attempt: int, said: str) -> None:
    attempts = {1: [{"say": "first"}], 2: [{"say": "second"}], "default": [{"say": "else"}]}

    done = play(tmp_path, {"tasks": {"t": attempts}, "heals": {"t": [{"say": "healing"}]}}, role=role, attempt=attempt)

    assert (done.returncode, done.stdout) == (0, said)


def test_a_task_without_steps_does_nothing(tmp_path: Path) -> None:
    done = play(tmp_path, {"tasks": {}})

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
