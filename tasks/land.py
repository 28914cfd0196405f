"""The task run that lands a verified commit."""

from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE

from graftline.carrying import carry_through
from graftline.git.landing import LandingResult, land
from graftline.git.repository import Target
from graftline.journal import EventKind
from graftline.run import Run, live_run


@task(name="land", task_run_name="land", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def land_commit(run_id: str, commit: str, onto: str, mode: Literal["auto", "branch"]) -> LandingResult:
    """Move the target to a verified commit, or leave it on the run's branch; `onto` is where the target has to be."""
    # A cancellation that comes now comes too late: what was landed is also recorded as landed.
    return await carry_through(_land(live_run(run_id), commit, onto, mode))


async def _land(run: Run, commit: str, onto: str, mode: Literal["auto", "branch"]) -> LandingResult:
    result = await land(
        run.repository,
        run.hub,
        target=Target(branch=run.pinned.target, commit=onto),
        commit=commit,
        mode=mode,
        result_branch=run.result_branch,
        confirm=run.lease.check,
    )
    if not result.moved:
        kind = EventKind.LANDED if result.landed else EventKind.LEFT_ON_BRANCH
        run.journal.append(kind, commit=commit, branch=result.branch, text=result.message, command=result.command)
    return result
