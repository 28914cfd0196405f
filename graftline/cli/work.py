"""`graftline diff` and `graftline take`: look at and fetch work that is on the hub's refs, which git does not show."""

import asyncio
import sys
from pathlib import Path

from graftline.cli.runs import Records, open_records
from graftline.errors import UnknownRunError
from graftline.git.hub import Hub, open_hub
from graftline.git.repository import open_repository
from graftline.git.taking import take_branch
from graftline.records import task_records
from graftline.text import plain_text


def diff(run: str | None = None, task: str | None = None, /, *, repository: Path = Path()) -> int:
    """Show the work of a run, or of one of its tasks, as a diff against what it started from.

    Parameters
    ----------
    run
        A run's name or id, or the beginning of one; this repository's latest when left out.
    task
        Show this task's latest work, also when it did not make it into the result.
    repository
        The git repository the run is of.
    """
    records = open_records(run, repository)
    shown = asyncio.run(_diff(records, task))
    if sys.stdout.isatty():  # what an agent wrote must not steer the terminal; a file or `git apply` gets every byte
        sys.stdout.write(plain_text(shown.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.write(shown)
    return 0


async def _diff(records: Records, task: str | None) -> bytes:
    hub = await _hub(records)
    if task is None:
        return await hub.diff(records.pinned.base, await latest_candidate(hub, records))
    base, commit = await latest_work(hub, records, task)
    return await hub.diff(base, commit)


def take(run: str | None = None, /, *, task: str | None = None, branch: str = "", repository: Path = Path()) -> int:
    """Fetch the work of a run into a new branch of your repository; nothing is checked out.

    Parameters
    ----------
    run
        A run's name or id, or the beginning of one; this repository's latest when left out.
    task
        Take this task's latest work instead of the whole run's, also when it did not make it into the result.
    branch
        The branch to make; graftline/RUN, or graftline/RUN-TASK, when left out.
    repository
        The git repository to fetch into.
    """
    records = open_records(run, repository)
    name = branch or "-".join(filter(None, [f"graftline/{records.pinned.name}", task]))
    commit = asyncio.run(_take(records, task, name))
    sys.stdout.write(f"{name} is at {commit[:12]}; look at it with: git log --stat {name}\n")
    return 0


async def _take(records: Records, task: str | None, branch: str) -> str:
    hub = await _hub(records)
    commit = await latest_candidate(hub, records) if task is None else (await latest_work(hub, records, task))[1]
    await take_branch(open_repository(Path(records.pinned.repository)), hub, commit=commit, branch=branch)
    return commit


async def latest_candidate(hub: Hub, records: Records) -> str:
    """The last commit in which a run's work was put together."""
    refs = await hub.refs(f"refs/graftline/{records.folder.id}/candidate")
    if not refs:
        raise UnknownRunError(
            f"run {records.pinned.name} has put nothing together yet; look at one task: graftline diff "
            f"{records.pinned.name} TASK"
        )
    return refs[max(refs, key=lambda ref: int(ref.rpartition("/")[2]))]


async def latest_work(hub: Hub, records: Records, task: str) -> tuple[str, str]:
    """What a task's latest attempt with any work started from, and its commit, salvaged or not."""
    run_refs = f"refs/graftline/{records.folder.id}"
    refs = await hub.refs(f"{run_refs}/task/{task}") | await hub.refs(f"{run_refs}/salvage/{task}")
    for record in reversed(task_records(records.folder, task)):
        kept = record.commit or refs.get(record.salvage or "")
        if kept is not None and kept in refs.values():
            return record.base, kept
    raise UnknownRunError(f"run {records.pinned.name} has no work of a task {task!r}")


async def _hub(records: Records) -> Hub:
    return await open_hub(open_repository(Path(records.pinned.repository)), records.folder.store.folder)
