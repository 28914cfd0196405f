"""The task run that gives a run a plan to consider: the planner's, or the one its request came with."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from graftline.planning.desk import propose_plan
from graftline.planning.proposals import Proposed
from graftline.run import live_run


@task(name="plan", task_run_name="plan {number}", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def propose(run_id: str, number: int) -> Proposed:
    """The run's proposal of that number, made now unless it was made before."""
    return await propose_plan(live_run(run_id), number)
