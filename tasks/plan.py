"""The task runs in which a planner is asked: for a plan, and for a patch of one."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from graftline.planning.desk import patch_plan, propose_plan
from graftline.planning.patches import RecordedPatch
from graftline.planning.proposals import Proposed
from graftline.run import live_run


@task(name="plan", task_run_name="plan {number}", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def propose(run_id: str, number: int) -> Proposed:
    """The run's proposal of that number, made now unless it was made before."""
    return await propose_plan(live_run(run_id), number)


@task(name="patch", task_run_name="patch {number}", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def make_patch(run_id: str, number: int) -> RecordedPatch:
    """The run's patch of that number, which a failed task asked for: made now unless it was made before."""
    return await patch_plan(live_run(run_id), number)
