"""A worktree made ready to work in: cut from a commit, then set up with the configured commands."""

import os
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import anyio.to_thread

from graftline.agents.environment import base_environment
from graftline.carrying import carry_through
from graftline.git.hub import Hub
from graftline.git.repository import Repository, Target
from graftline.git.worktrees import Worktree, cut_worktree, remove_worktree
from graftline.journal import EventKind, Journal
from graftline.process import Command, Ending, Limits, OnStart, run_process
from graftline.settings import Settings


class Host(Protocol):
    """Who has worktrees made and programs run in them: a run, or the making of a plan outside of any."""

    @property
    def hub(self) -> Hub:
        """What they are cut from."""
        ...

    @property
    def repository(self) -> Repository:
        """The user's repository, whose ignored files may be copied in."""
        ...

    @property
    def target(self) -> Target:
        """The branch whose name is to be found in them."""
        ...

    @property
    def settings(self) -> Settings:
        """How they are furnished."""
        ...

    @property
    def journal(self) -> Journal:
        """Where what happens is told."""
        ...

    @property
    def environ(self) -> Mapping[str, str]:
        """Graftline's own environment."""
        ...

    def recording(self, what: str, *, task: str | None = None, attempt: int | None = None) -> OnStart:
        """Writes a process into the journal the moment it runs."""
        ...


async def cut_workspace(host: Host, commit: str, *, path: Path, branch: str) -> Worktree:
    """A new worktree of a commit, as the settings furnish it.

    What a killed process left at that path may be work that is nowhere else: it is set aside, not deleted.
    """
    await anyio.to_thread.run_sync(_set_aside, host, path)
    return await cut_worktree(
        host.hub,
        commit,
        path=path,
        branch=branch,
        target=host.target.branch,
        repository=host.repository,
        include_file=host.settings.worktree.include_file,
    )


@asynccontextmanager
async def workspace_for_tests(
    host: Host, commit: str, *, path: Path, folder: Path
) -> AsyncIterator[tuple[Worktree, str]]:
    """A worktree to test a commit in, gone afterwards, and what went wrong in setting it up; `folder` gets the logs."""
    worktree = await cut_workspace(host, commit, path=path, branch="verify")
    try:
        problem = await set_up(host, worktree, folder, task=None, seconds=host.settings.test.timeout_seconds)
        yield worktree, problem
    finally:
        await carry_through(remove_worktree(worktree))


async def set_up(host: Host, worktree: Worktree, folder: Path, *, task: str | None, seconds: float) -> str:
    """Run `[worktree] setup` in a worktree, logged to `folder` and timed; what went wrong, or an empty string."""
    for number, line in enumerate(host.settings.worktree.setup, start=1):
        log = folder / f"setup-{number}.log"
        # The person's own commands, with the person's own caches: a private home would download the world each time.
        environment = base_environment(host.environ, home=Path(host.environ.get("HOME", folder)))
        command = Command(argv=tuple(shlex.split(line)), cwd=worktree.path, env=environment)
        result = await run_process(
            command, log=log, limits=Limits(wall_seconds=seconds), on_start=host.recording("set-up", task=task)
        )
        host.journal.append(EventKind.SETUP, task=task, command=line, seconds=result.seconds, status=result.status)
        if result.status != 0:
            how = "took too long" if result.ending is Ending.TIMED_OUT else f"ended with {result.status}"
            return f"[worktree] setup: {line!r} {how} (log: {log}):\n{result.tail}"
    return ""


def _set_aside(host: Host, path: Path) -> None:
    if not os.path.lexists(path):
        return
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.left-{number}")):
        number += 1
    path.rename(aside)
    host.journal.append(EventKind.WARNING, text=f"an interrupted run's worktree was in the way; it is now {aside}")
