"""A worktree made ready to work in: cut from a commit, then set up with the configured commands."""

import os
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread

from graftline.agents.environment import base_environment
from graftline.carrying import carry_through
from graftline.git.worktrees import Worktree, cut_worktree, remove_worktree
from graftline.journal import EventKind
from graftline.process import Command, Ending, Limits, run_process
from graftline.run import Run


async def cut_workspace(run: Run, commit: str, *, path: Path, branch: str) -> Worktree:
    """A new worktree of a commit, as the settings furnish it.

    What a killed process left at that path may be work that is nowhere else: it is set aside, not deleted.
    """
    await anyio.to_thread.run_sync(_set_aside, run, path)
    return await cut_worktree(
        run.hub,
        commit,
        path=path,
        branch=branch,
        target=run.target.branch,
        repository=run.repository,
        include_file=run.settings.worktree.include_file,
    )


@asynccontextmanager
async def workspace_for_tests(
    run: Run, commit: str, *, path: Path, folder: Path
) -> AsyncIterator[tuple[Worktree, str]]:
    """A worktree to test a commit in, gone afterwards, and what went wrong in setting it up; `folder` gets the logs."""
    worktree = await cut_workspace(run, commit, path=path, branch="verify")
    try:
        problem = await set_up(run, worktree, folder, task=None, seconds=run.settings.test.timeout_seconds)
        yield worktree, problem
    finally:
        await carry_through(remove_worktree(worktree))


async def set_up(run: Run, worktree: Worktree, folder: Path, *, task: str | None, seconds: float) -> str:
    """Run `[worktree] setup` in a worktree, logged to `folder` and timed; what went wrong, or an empty string."""
    for number, line in enumerate(run.settings.worktree.setup, start=1):
        log = folder / f"setup-{number}.log"
        # The person's own commands, with the person's own caches: a private home would download the world each time.
        environment = base_environment(run.environ, home=Path(run.environ.get("HOME", folder)))
        command = Command(argv=tuple(shlex.split(line)), cwd=worktree.path, env=environment)
        result = await run_process(
            command, log=log, limits=Limits(wall_seconds=seconds), on_start=run.recording("set-up", task=task)
        )
        run.journal.append(EventKind.SETUP, task=task, command=line, seconds=result.seconds, status=result.status)
        if result.status != 0:
            how = "took too long" if result.ending is Ending.TIMED_OUT else f"ended with {result.status}"
            return f"[worktree] setup: {line!r} {how} (log: {log}):\n{result.tail}"
    return ""


def _set_aside(run: Run, path: Path) -> None:
    if not os.path.lexists(path):
        return
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.left-{number}")):
        number += 1
    path.rename(aside)
    run.journal.append(EventKind.WARNING, text=f"an interrupted run's worktree was in the way; it is now {aside}")
