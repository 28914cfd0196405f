"""Finds a run by what a person calls it, and reads its records without touching them."""

import os
from dataclasses import dataclass
from pathlib import Path

from graftline.errors import RepositoryError
from graftline.git.repository import open_repository
from graftline.journal import Entry, EventKind, Journal
from graftline.ledger import Account, Ledger
from graftline.pinned import PinnedRun, read_pinned
from graftline.process import ProcessIdentity, is_alive
from graftline.store import RunFolder, find_run, repository_place, state_place


@dataclass(frozen=True)
class Records:
    """What is known of a run."""

    folder: RunFolder
    pinned: PinnedRun
    entries: list[Entry]
    account: Account

    @property
    def is_alive(self) -> bool:
        """Whether the process that carries out the run is still there."""
        starts = [entry for entry in self.entries if entry.event is EventKind.RUN_PREPARED]
        return any(
            is_alive(ProcessIdentity(int(str(entry.data["pid"])), str(entry.data["started"]))) for entry in starts
        )

    def is_running(self) -> bool:
        """Whether the run goes on now, as its journal and its process say."""
        ended = any(entry.event is EventKind.RUN_ENDED for entry in Journal.open(self.folder.journal).entries())
        return not ended and self.is_alive


def open_records(run: str | None, repository: Path) -> Records:
    """The records of the run with this name, id or beginning; None is the repository's latest.

    Outside a repository a run can still be named.

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
    folder = find_run(state_dir, run, store)
    return Records(
        folder=folder,
        pinned=read_pinned(folder),
        entries=Journal.open(folder.journal).entries(),
        account=Ledger.open(state_dir).account(folder.id),
    )
