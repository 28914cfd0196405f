"""The floor that graftline is measured against does the work it claims to do, and counts all of it."""

import subprocess
from pathlib import Path

import pytest

from benchmarks.floor import measure_floor
from benchmarks.workload import Shape, chain, diamond, environment, independent, make_repository, write_agent

PER_TASK = 6  # worktree add, add, commit, rev-parse; merge-tree, commit-tree
ONCE = 1  # rev-parse of the start


@pytest.mark.parametrize(
    ("shape", "git_processes"),
    [
        (independent(5), 5 * PER_TASK + ONCE),
        (chain(3), 3 * PER_TASK + ONCE),
        (diamond(), 4 * PER_TASK + ONCE + 2),  # the last task's base is a merge of its own
    ],
    ids=lambda value: value.name if isinstance(value, Shape) else "",
)
def test_the_floor_merges_every_task_and_counts_its_git_processes(
    shape: Shape, git_processes: int, tmp_path: Path
) -> None:
    measured = measure_floor(shape, 0, file_count=3, place=tmp_path)

    assert (measured.task_count, measured.git_processes) == (len(shape), git_processes)
    assert measured.cpu_seconds > 0


def test_a_dependent_comes_after_its_predecessors() -> None:
    for shape in (independent(4), chain(4), diamond()):
        names = list(shape.depends_on)
        for position, predecessors in enumerate(shape.depends_on.values()):
            assert set(predecessors) <= set(names[:position])


def test_the_agent_adds_one_file_named_after_its_task(tmp_path: Path) -> None:
    agent = write_agent(tmp_path / "agent", 0)
    (tmp_path / "worktree").mkdir()

    subprocess.run(
        [agent], cwd=tmp_path / "worktree", env={"GRAFTLINE_TASK_ID": "t07", "PATH": "/usr/bin:/bin"}, check=True
    )

    assert [path.name for path in (tmp_path / "worktree").iterdir()] == ["t07.txt"]


def test_a_repository_has_the_files_it_is_asked_for(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "repository", 120)

    assert len(list(folder.glob("package_*/module_*.py"))) == 120


def test_a_persons_own_git_configuration_does_not_reach_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", "/elsewhere")
    configuration = Path.home() / ".gitconfig"
    configuration.write_text("[benchmark]\n\tmark = seen\n")

    shown = subprocess.run(["git", "config", "--list"], env=environment(), capture_output=True, text=True, check=True)

    assert "benchmark.mark" not in shown.stdout
    assert "GIT_INDEX_FILE" not in environment()
