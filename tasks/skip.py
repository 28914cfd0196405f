"""The task run of a plan task that does not run: it ends, with the reason, and keeps its edges in the graph."""

from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled

SKIPPED = "Skipped"


@task(name="skip", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def skip(reason: str) -> State[None]:
    """The final state of a plan task that must not run."""
    return Cancelled(name=SKIPPED, message=reason)


def skip_task(task_id: str) -> Task[..., Any]:
    """The `skip` task under a plan task's name."""
    return skip.with_options(name=task_id, task_run_name=task_id)
