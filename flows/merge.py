"""The merge subflow: all finished tasks become one candidate commit, in the object database, without a checkout."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from graftline.git.merging import Integration
from graftline.integration import integrate
from graftline.interruption import signals_held
from graftline.run import live_run


@task(name="integrate", task_run_name="integrate", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def integrate_tasks(run_id: str) -> Integration:
    """Fold the finished tasks onto the base."""
    return await integrate(live_run(run_id))


# Results of subflows are never kept: on re-entry Prefect matches subflows by call order, and would hand this call the
# result of another generation's.
@flow(name="merge", flow_run_name="merge", persist_result=False, log_prints=False)
async def merge(run_id: str) -> Integration:
    """The run's first candidate."""
    with signals_held():
        return await integrate_tasks(run_id)
