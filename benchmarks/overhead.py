"""What a run of graftline costs beside its agents, next to the floor on the same machine in the same minute.

Each row runs the floor and then `graftline run` as a person would start it: a process of its own, with its own local
Prefect server. What comes before and after the run has a column of its own, since a long run does not feel it: the
interpreter's start, the server's start and stop, and the removal of the worktrees.

Run: `python -m benchmarks.overhead`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.floor import CONCURRENT_AGENTS, Measurement, cpu_seconds, measure_floor
from benchmarks.workload import AGENT_SECONDS, SHAPES, Shape, environment, make_repository, write_agent


@dataclass(frozen=True)
class Overhead:
    """One run of graftline; `run` leaves start-up and end out, and its CPU time leaves the Prefect server out."""

    run: Measurement
    around_seconds: float


@dataclass(frozen=True)
class GitCounter:
    """A `git` that counts its calls and hands them on; `folder` goes first on PATH.

    Counted is what looks git up on PATH: processes that git starts itself are not, here as in the floor.
    """

    folder: Path

    @property
    def _tally(self) -> Path:
        return self.folder / "tally"

    def install(self) -> None:
        """Write the executable."""
        git = shutil.which("git")
        if git is None:
            raise RuntimeError("no git on PATH")
        self.folder.mkdir()
        self._tally.touch()
        # One byte appended is one call, whoever else appends at the same time. The paths are written out because
        # graftline's children get an environment of their own.
        shim = self.folder / "git"
        shim.write_text(f"#!/bin/sh\nprintf . >> '{self._tally}'\nexec '{git}' \"$@\"\n")
        shim.chmod(0o755)

    def count(self) -> int:
        """The calls so far."""
        return self._tally.stat().st_size


def measure_overhead(shape: Shape, agent_seconds: float, *, file_count: int, place: Path) -> Overhead:
    """Run graftline once over a new repository; fails when any task's work did not land.

    All it makes stays in `place`, graftline's state directory included: kept over several calls, only the first pays
    for the server's database.
    """
    folder = Path(tempfile.mkdtemp(prefix="overhead-", dir=place))
    repository = make_repository(folder / "repository", file_count)
    agent = write_agent(folder / "agent", agent_seconds)
    plan = _write_plan(folder / "plan.json", shape)
    _write_settings(repository / "graftline.toml", agent)
    git = GitCounter(folder / "bin")
    git.install()
    run_environment = {
        **environment(),
        "PATH": f"{git.folder}{os.pathsep}{os.environ['PATH']}",
        "GRAFTLINE_STATE_DIR": str(place / "state"),
    }
    command = [str(Path(sys.executable).with_name("graftline")), "run", str(plan), "--json"]

    wall, cpu = time.monotonic(), cpu_seconds()
    done = subprocess.run(command, cwd=repository, env=run_environment, capture_output=True, check=True)
    wall, cpu = time.monotonic() - wall, cpu_seconds() - cpu

    missing = [task for task in shape.depends_on if not (repository / f"{task}.txt").is_file()]
    if missing:
        raise RuntimeError(f"graftline did not land the work of {', '.join(missing)}")
    run_seconds = float(json.loads(done.stdout)["seconds"])
    return Overhead(Measurement(len(shape), run_seconds, cpu, git.count()), wall - run_seconds)


def _write_plan(path: Path, shape: Shape) -> Path:
    tasks = [
        {"id": task, "prompt": f"Write {task}.txt.", "writes": [f"{task}.txt"], "depends_on": predecessors}
        for task, predecessors in shape.depends_on.items()
    ]
    path.write_text(json.dumps({"version": "1", "title": shape.name, "tasks": tasks}))
    return path


def _write_settings(path: Path, agent: Path) -> None:
    path.write_text(
        f'[agent]\nbackend = "timed"\nmax_concurrent = {CONCURRENT_AGENTS}\n'
        f'[agents.timed]\ntype = "command"\ncommand = ["{agent}"]\ncost_usd = 0\n'
        '[test]\nrunner = "none"\n'
    )


def main() -> None:
    """Print a table of floor and graftline for every shape and agent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500, metavar="N", help="files in the repository (default: 500)")
    file_count: int = parser.parse_args().files
    print(f"{CONCURRENT_AGENTS} agents at a time, {file_count} files; each pair is floor / graftline\n")
    print("| shape | agent | wall | ratio | CPU per task | git processes per task | start-up and end |")
    print("|---|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="overhead-") as name:
        place = Path(name)
        for seconds in AGENT_SECONDS:
            for shape in SHAPES:
                floor = measure_floor(shape, seconds, file_count=file_count, place=place)
                overhead = measure_overhead(shape, seconds, file_count=file_count, place=place)
                run = overhead.run
                print(
                    f"| {shape.name} | {f'{seconds:g} s' if seconds else 'instant'} "
                    f"| {floor.wall_seconds:.2f} / {run.wall_seconds:.2f} s "
                    f"| {run.wall_seconds / floor.wall_seconds:.2f} "
                    f"| {floor.cpu_ms_per_task:.0f} / {run.cpu_ms_per_task:.0f} ms "
                    f"| {floor.git_processes_per_task:.1f} / {run.git_processes_per_task:.1f} "
                    f"| {overhead.around_seconds:.1f} s |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
