"""`graftline clean`: removes what ended runs left on disk, and says what it keeps and why."""

import asyncio
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from graftline.cleaning import CleanUp, clean_up, hindrance, plan_clean_up, tidy_hub
from graftline.cli.boundary import complain
from graftline.cli.runs import say_what_was_found_dead
from graftline.errors import ExitCode, GraftlineError, RepositoryError, UnknownRunError, UserError
from graftline.git.repository import Repository, open_repository
from graftline.remains import BESIDE_A_WORKTREE, SoleWork
from graftline.store import RepositoryStore, RunFolder, find_run, find_runs, repository_place, state_place
from graftline.text import plain_line, plain_text

WHAT_CHARACTERS = 160
PATH_CHARACTERS = 4096


def clean(
    run: str | None = None,
    /,
    *,
    every: Annotated[bool, Parameter(name="--all", negative=())] = False,
    discard: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    repository: Path = Path(),
) -> int:
    """Remove what ended runs left on disk: worktrees, refs in the hub, logs, records; work that is nowhere else stays.

    Parameters
    ----------
    run
        A run's name or id, or the beginning of one; this repository's latest that has ended when left out.
    every
        Clean up all runs of this repository that have ended.
    discard
        Give up the work of this task of the run, although it is nowhere else. Can be given several times.
    dry_run
        Say what would be removed and what kept, and change nothing.
    repository
        The git repository the run is of.
    """
    if every and (run or discard):
        raise UserError("--all takes neither a run nor --discard: discard tasks of one run at a time")
    state_dir = state_place(os.environ)
    if not dry_run:
        say_what_was_found_dead(tell_server=True)
    try:
        here = open_repository(repository)
    except RepositoryError:
        if run is None:
            raise
        here = None
    store = None if here is None else repository_place(state_dir, str(here.common_dir))
    runs = _ended_runs(store, every=every) if run is None and store else [find_run(state_dir, run, store)]
    return asyncio.run(_clean(runs, discard, here, dry_run=dry_run))


def _ended_runs(store: RepositoryStore, *, every: bool) -> list[RunFolder]:
    """All runs that have ended, or the latest of them; those passed over are said."""
    ended: list[RunFolder] = []
    for run in find_runs(store):
        if reason := hindrance(run):
            header = run.header()
            _say(f"Run {header.name if header else run.id} is left alone: {reason}")
            continue
        ended.append(run)
        if not every:
            return ended
    if not ended:
        nothing = "this repository has no run that has ended, so there is nothing to clean up"
        if not every:
            raise UnknownRunError(nothing)
        _say(nothing.capitalize())
    return ended


async def _clean(runs: list[RunFolder], discard: Collection[str], here: Repository | None, *, dry_run: bool) -> int:
    """Clean up one run after the other; one whose records cannot be read does not keep the others from it."""
    code, repository = ExitCode.SUCCESS, here
    for run in runs:
        try:
            plan = await (plan_clean_up if dry_run else clean_up)(run, discard, here)
        except GraftlineError as error:
            if len(runs) == 1:
                raise
            complain(f"graftline: {error}")
            code = error.exit_code
            continue
        repository = plan.repository
        for line in _lines(plan, dry_run=dry_run):
            _say(line)
    if runs and not dry_run:  # which are all of one repository
        freed = await tidy_hub(runs[0].store, repository)
        if freed is None:
            _say("A run is going on in the hub: what its objects take is given back by a later clean-up.")
        elif freed > 0:
            _say(f"Freed in the hub: {_size(freed)}")
    return code


def _lines(plan: CleanUp, *, dry_run: bool) -> list[str]:
    """What a person is told of one run."""
    if plan.is_needed:
        verb = "would remove" if dry_run else "removed"
        folders = [place for place in plan.worktrees if place.name.partition(".")[2] not in BESIDE_A_WORKTREE]
        parts = [
            _count(len(folders), "worktree"),
            _count(len(plan.refs), "ref"),
            "logs and records" if plan.records else "",
        ]
        lines = [f"Run {plan.name}: {verb} {', '.join(filter(None, parts))} ({_size(plan.freed_bytes)})"]
    else:
        lines = [f"Run {plan.name}: nothing to remove"]
    if plan.kept and plan.repository is None:
        lines.append("  its repository is not where it was, so nobody can say which work is in it: all of it is kept")
    verb = "would keep" if dry_run else "kept"
    lines += [f"  {verb} {_described(work, plan)}" for work in plan.kept]
    for task in dict.fromkeys(work.task for work in plan.kept if work.task):
        if any(work.ref for work in plan.kept if work.task == task):
            lines.append(f"  look at {task}: graftline diff {plan.name} {task}")
        lines.append(f"  discard {task}: graftline clean {plan.name} --discard {task}")
    return lines


def _described(work: SoleWork, plan: CleanUp) -> str:
    """One piece of work and why it is kept; what is said of it may hold an agent's words."""
    what = plain_line(f"{work.task}: {work.what}" if work.task else work.what, WHAT_CHARACTERS)
    if work.path is not None:
        return f"{what}; never collected: {plain_line(str(work.path), PATH_CHARACTERS)}"
    ref = work.ref.removeprefix(f"refs/graftline/{plan.run.id}/")
    return f"{what}; on no branch or tag of yours: {ref} ({work.commit[:12]})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}" if number else ""


def _size(number: int) -> str:
    """A size on disk for people."""
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.0f} kB"


def _say(line: str) -> None:
    sys.stdout.write(f"{plain_text(line)}\n")
