"""Finds a run by what a person calls it, and reads its records without touching them."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from graftline.cli.console import stderr_console
from graftline.errors import RepositoryError
from graftline.git.repository import open_repository
from graftline.journal import Entry, Journal
from graftline.lease import holder_of
from graftline.ledger import Account, Ledger
from graftline.opening import look_after_dead_runs
from graftline.pinned import PinnedRun, read_pinned
from graftline.server import Server, client_environment, configured_server, read_address
from graftline.server_folder import ServerFolder
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

    The server is told when it is up. A command that carries out a run leaves it to that run.
    """
    said = asyncio.run(look_after_dead_runs(os.environ))
    for sentence in said:
        stderr_console().say(sentence)
    if tell_server and untold_runs(state_place(os.environ)):
        asyncio.run(_tell_server())


async def _tell_server() -> None:
    server = running_server(state_place(os.environ))
    if server is None:
        return
    os.environ.update(client_environment(server))
    import httpx  # noqa: PLC0415  comes with Prefect
    from prefect.client.orchestration import get_client  # noqa: PLC0415  now that the server's address is known

    from graftline.tasks.flow_runs import tell_of_dead_runs  # noqa: PLC0415  imports Prefect

    try:
        async with get_client() as client:
            await tell_of_dead_runs(client, os.environ)
    except httpx.HTTPError as error:  # the next run tells it
        stderr_console().say(f"the Prefect server could not be told: {error}")


def running_server(state_dir: Path) -> Server | None:
    """The server to ask without starting one: the configured one, or graftline's own when it is up."""
    configured = configured_server(os.environ)
    address = read_address(state_dir)
    if configured is not None or address is None:
        return configured
    home = ServerFolder.of(state_dir).home
    return Server(api_url=address.api_url, ui_url=address.ui_url, local=True, home=home)
