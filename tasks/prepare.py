"""The first task run: everything is checked again, where it will run, and pinned."""

import os
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client

from graftline.preflight import check_request
from graftline.request import BuildRequest
from graftline.run import Run, prepare_run


@task(name="prepare", task_run_name="prepare", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def prepare(request: BuildRequest, run_id: str) -> Run:
    """The open run of a request; entered again, the one that was pinned the first time."""
    run = await prepare_run(await check_request(request, os.environ), run_id, os.environ)
    async with get_client() as client:
        await client.update_flow_run(UUID(run_id), name=run.pinned.name)
    return run
