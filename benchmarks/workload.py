"""What the benchmarks run: shapes of task graphs, a repository to work in, and agents that take a known time."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shape:
    """A task graph: each task's predecessors, in topological order."""

    name: str
    depends_on: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.depends_on)


def independent(count: int) -> Shape:
    """Tasks that know nothing of each other."""
    return Shape(f"{count} tasks", {f"t{number:02}": () for number in range(count)})


def chain(length: int) -> Shape:
    """Tasks of which each waits for the one before."""
    names = [f"t{number:02}" for number in range(length)]
    return Shape(f"chain of {length}", {name: tuple(names[:index][-1:]) for index, name in enumerate(names)})


def diamond() -> Shape:
    """One task, two that build on it, one that builds on both."""
    return Shape("diamond", {"t00": (), "t01": ("t00",), "t02": ("t00",), "t03": ("t01", "t02")})


SHAPES = (independent(4), independent(16), independent(64), chain(8), diamond())
AGENT_SECONDS = (0.0, 1.0)


def environment() -> dict[str, str]:
    """This process's environment with a git that nothing of the person's own configuration reaches."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = {f"GIT_{who}_{what[0]}": what[1] for who in ("AUTHOR", "COMMITTER") for what in _IDENTITY}
    return {**kept, **identity, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


_IDENTITY = (("NAME", "Benchmark"), ("EMAIL", "benchmark@example.com"))


def make_repository(folder: Path, file_count: int) -> Path:
    """Make a repository on branch main, with one commit of that many files of about 1 kB in folders of 50."""
    folder.mkdir(parents=True)
    for number in range(file_count):
        path = folder / f"package_{number // 50:03}" / f"module_{number:05}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"value_{line} = {number * line}\n" for line in range(50)))
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "Start", "--allow-empty"]):
        subprocess.run(["git", *arguments], cwd=folder, env=environment(), check=True)
    return folder


def write_agent(path: Path, seconds: float) -> Path:
    """Write an executable that takes `seconds` and adds one file, named after `GRAFTLINE_TASK_ID`, to its directory."""
    wait = f"sleep {seconds:g}\n" if seconds else ""
    path.write_text(f'#!/bin/sh\nset -e\n{wait}echo "done" > "$GRAFTLINE_TASK_ID.txt"\n')
    path.chmod(0o755)
    return path
