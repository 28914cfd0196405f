"""The floor: the least that running agents in parallel worktrees and merging their work can cost.

A script that does for each task: `git worktree add` under a lock, run the agent, commit; then merges all with
`merge-tree`. It isolates nothing, verifies nothing, records nothing and cannot resume. What graftline costs is read
against it. Run: `python -m benchmarks.floor`.
"""

import argparse
import asyncio
import contextlib
import resource
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workload import AGENT_SECONDS, SHAPES, Shape, environment, make_repository, write_agent

CONCURRENT_AGENTS = 4


@dataclass(frozen=True)
class Measurement:
    """What one run took; CPU is user and system time of the script and all its children, agents included."""

    task_count: int
    wall_seconds: float
    cpu_seconds: float
    git_processes: int

    @property
    def cpu_ms_per_task(self) -> float:
        """CPU time of one task, in milliseconds."""
        return self.cpu_seconds * 1000 / self.task_count

    @property
    def git_processes_per_task(self) -> float:
        """Git processes of one task; those that git starts itself are not counted."""
        return self.git_processes / self.task_count


class _Floor:
    """One run of the floor over one repository."""

    def __init__(self, repository: Path, worktrees: Path, agent: Path) -> None:
        self.repository = repository
        self.worktrees = worktrees
        self.agent = agent
        self.environment = environment()
        self.git_processes = 0
        self.commits: dict[str, str] = {}
        self.slots = asyncio.Semaphore(CONCURRENT_AGENTS)
        self.administration = asyncio.Lock()  # parallel `worktree add` fails at random

    async def run(self, shape: Shape) -> str:
        """The merge of all tasks' work, each task started as soon as its predecessors are through."""
        start = await self.git(self.repository, "rev-parse", "HEAD")
        running: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            for task, predecessors in shape.depends_on.items():
                awaited = {name: running[name] for name in predecessors}
                running[task] = group.create_task(self.run_task(task, start, awaited))
        return await self.merge_all(start, [self.commits[task] for task in shape.depends_on])

    async def run_task(self, task: str, start: str, predecessors: Mapping[str, asyncio.Task[None]]) -> None:
        for predecessor in predecessors.values():
            await predecessor
        base, *others = [self.commits[name] for name in predecessors] or [start]
        base = await self.merge_all(base, others)
        async with self.slots:
            worktree = self.worktrees / task
            async with self.administration:
                await self.git(self.repository, "worktree", "add", "-q", "--detach", str(worktree), base)
            agent = await asyncio.create_subprocess_exec(
                self.agent, cwd=worktree, env={**self.environment, "GRAFTLINE_TASK_ID": task}
            )
            if await agent.wait():
                raise RuntimeError(f"the agent failed on {task}")
            await self.git(worktree, "add", "-A")
            await self.git(worktree, "commit", "-qm", task)
            self.commits[task] = await self.git(worktree, "rev-parse", "HEAD")

    async def merge_all(self, commit: str, others: list[str]) -> str:
        for other in others:
            tree = await self.git(self.repository, "merge-tree", "--write-tree", commit, other)
            parents = ("-p", commit, "-p", other)
            commit = await self.git(self.repository, "commit-tree", tree, *parents, "-m", "Merge")
        return commit

    async def git(self, folder: Path, *arguments: str) -> str:
        self.git_processes += 1
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, cwd=folder, env=self.environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"git {' '.join(arguments)} ended with {process.returncode} in {folder}")
        return output.decode().strip()


def measure_floor(shape: Shape, agent_seconds: float, *, file_count: int, place: Path) -> Measurement:
    """Run the floor once, in a new repository of `file_count` files; fails when any task's work is not merged.

    All it makes stays in `place`: on ext4, files deleted now would slow down whoever writes files in the next minutes.
    """
    folder = Path(tempfile.mkdtemp(prefix="floor-", dir=place))
    repository = make_repository(folder / "repository", file_count)
    (folder / "worktrees").mkdir()
    agent = write_agent(folder / "agent", agent_seconds)

    async def run() -> tuple[Measurement, str]:
        floor = _Floor(repository, folder / "worktrees", agent)
        wall, cpu = time.monotonic(), cpu_seconds()
        result = await floor.run(shape)
        measured = Measurement(len(shape), time.monotonic() - wall, cpu_seconds() - cpu, floor.git_processes)
        return measured, await floor.git(repository, "ls-tree", "--name-only", result)

    measurement, files = asyncio.run(run())
    missing = {f"{task}.txt" for task in shape.depends_on} - set(files.splitlines())
    if missing:
        raise RuntimeError(f"the floor lost the work of {', '.join(sorted(missing))}")
    return measurement


def cpu_seconds() -> float:
    """User and system time so far, of this process and of all children it has waited for."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Print a table of the floor for every shape and agent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500, metavar="N", help="files in the repository (default: 500)")
    file_count: int = parser.parse_args().files
    print(f"Floor: {CONCURRENT_AGENTS} agents at a time, {file_count} files\n")
    print("| shape | agent | wall | CPU per task | git processes per task |")
    print("|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="floor-") as name:
        for seconds in AGENT_SECONDS:
            for shape in SHAPES:
                took = measure_floor(shape, seconds, file_count=file_count, place=Path(name))
                print(
                    f"| {shape.name} | {f'{seconds:g} s' if seconds else 'instant'} | {took.wall_seconds:.2f} s "
                    f"| {took.cpu_ms_per_task:.0f} ms | {took.git_processes_per_task:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
