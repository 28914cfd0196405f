"""A survey of the repository at a commit: what its files define and use, and what recent commits did to them."""

from collections.abc import Mapping
from dataclasses import dataclass

import anyio.to_thread

from graftline.git.repository import Repository
from graftline.planning.history import History, read_history
from graftline.planning.index import RepositoryIndex, index_repository
from graftline.run import Run
from graftline.store import cache_place


@dataclass(frozen=True)
class Survey:
    """What planning goes by."""

    index: RepositoryIndex
    history: History


async def survey(repository: Repository, commit: str, environ: Mapping[str, str]) -> Survey:
    """The survey of a commit; what was parsed before, for whichever repository, is not parsed again."""
    index = await index_repository(repository, commit, cache=cache_place(environ) / "facts.db")
    return Survey(index, await anyio.to_thread.run_sync(read_history, repository, commit))


async def survey_of(run: Run) -> Survey:
    """The survey of what an open run started from, made once while its plan is being settled."""
    if run.survey is None:
        run.survey = await survey(run.repository, run.base, run.environ)
    return run.survey
