"""The first task run: everything is checked again, where it will run, and pinned."""

import logging
import os
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client

from graftline.agents.profiles import PROFILE_TYPES, AnyProfile
from graftline.blocks import ClaudeCode, Command, to_profile
from graftline.preflight import check_request
from graftline.request import BuildRequest
from graftline.run import Run, prepare_run


@task(name="prepare", task_run_name="prepare", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def prepare(request: BuildRequest, run_id: str) -> Run:
    """The open run of a request; entered again, the one that was pinned the first time."""
    checked = await check_request(request, os.environ, blocks=await load_blocks(request.agent))
    # Before the run says its first sentence, which would be lost otherwise.
    logging.getLogger("graftline").setLevel(checked.settings.logging.level)
    run = await prepare_run(checked, run_id, os.environ)
    async with get_client() as client:
        await client.update_flow_run(UUID(run_id), name=run.pinned.name)
    return run


async def load_blocks(name: str) -> dict[str, AnyProfile]:
    """The agent block of that name on the Prefect server, if there is one, as the profile it stands for."""
    if name and name not in PROFILE_TYPES:
        for kind in (ClaudeCode, Command):
            try:
                return {name: to_profile(await kind.aload(name))}
            except ValueError:  # Prefect's word for a block that does not exist
                continue
    return {}
