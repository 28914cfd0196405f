"""The task run of one heal call."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from graftline.healing import Assigned, heal_task
from graftline.run import live_run
from graftline.tasks.attempt import Attempted


@task(name="heal", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def heal_one(run_id: str, candidate: str, assigned: Assigned, number: int) -> Attempted:
    """Send a task's failures back to its agent, in a worktree of the candidate."""
    return Attempted(await heal_task(live_run(run_id), candidate, assigned, number))
