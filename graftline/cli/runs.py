"""Finds a run by what a person calls it, and reads its records without touching them."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from graftline.cli.console import stderr_console
from graftline.cli.prefect_client import prefect_client, running_server
from graftline.errors import RepositoryError, ServerUnavailableError
from graftline.git.repository import open_repository
from graftline.journal import Entry, Journal
from graftline.lease import holder_of
from graftline.ledger import Account, Ledger
from graftline.opening import look_after_dead_runs
from graftline.pinned import PinnedRun, read_pinned
from graftline.recovery import find_suspended, is_suspended
from graftline.store import RunFolder, find_run, repository_place, state_place, untold_runs


@dataclass(frozen=True)
class Records:
    """What is known of a run."""

    folder: RunFolder
    pinned: PinnedRun
    entries: list[Entry]
    account: Account

    def is_running(self) -> bool:
        """Whether somebody carries the run out now."""
        return holder_of(self.folder.path) is not None

    def is_suspended(self) -> bool:
        """Whether it waits for a person without a process."""
        return not self.is_running() and is_suspended(self.folder)


def open_records(run: str | None, repository: Path) -> Records:
    """The records of the run with this name, id or beginning; None is the repository's latest.

    Outside a repository a run can still be named. What dead processes left of any run is looked after first, and said.

    Raises:
        UnknownRunError: no run, or more than one, answers to it.
    """
    say_what_was_found_dead(tell_server=True)
    folder = locate_run(run, repository)
    return Records(
        folder=folder,
        pinned=read_pinned(folder),
        entries=Journal.open(folder.journal).entries(),
        account=Ledger.open(state_place(os.environ)).account(folder.id),
    )


def locate_run(run: str | None, repository: Path) -> RunFolder:
    """Where the records of such a run are.

    Raises:
        UnknownRunError: no run, or more than one, answers to it.
    """
    state_dir = state_place(os.environ)
    try:
        store = repository_place(state_dir, str(open_repository(repository).common_dir))
    except RepositoryError:
        if run is None:
            raise
        store = None
    return find_run(state_dir, run, store)


def say_what_was_found_dead(*, tell_server: bool) -> None:
    """Look after the runs whose process died, and say so; `tell_server` also ends their flow runs where that shows.

    The server is told when it is up, and asked what became of runs that were suspended. A command that carries out a
    run leaves it to that run.
    """
    said = asyncio.run(look_after_dead_runs(os.environ))
    for sentence in said:
        stderr_console().say(sentence)
    state_dir = state_place(os.environ)
    if tell_server and running_server(state_dir) and (untold_runs(state_dir) or find_suspended(state_dir)):
        asyncio.run(_talk_to_server())


async def _talk_to_server() -> None:
    try:
        async with prefect_client() as client:
            from graftline.tasks.flow_runs import (  # noqa: PLC0415  imports Prefect
                close_suspended_runs,
                tell_of_dead_runs,
            )

            await tell_of_dead_runs(client, os.environ)
            await close_suspended_runs(client, os.environ)
    except ServerUnavailableError as error:  # the next run talks to it
        stderr_console().say(str(error))
