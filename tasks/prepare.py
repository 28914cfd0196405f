"""The first task run: everything is checked again, where it will run, and pinned."""

import logging
import os
import re
from collections.abc import Iterable
from uuid import UUID

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client

from graftline.agents.profiles import AnyProfile
from graftline.blocks import AGENT_BLOCKS, to_profile
from graftline.opening import enter_run, look_after_dead_runs
from graftline.request import BuildRequest
from graftline.run import Run
from graftline.tasks.flow_runs import close_suspended_runs, crash_parts, tell_of_dead_runs

logger = logging.getLogger(__name__)
BLOCK_NAME = re.compile(r"[a-z0-9-]+")
"""What Prefect lets a block be called; anything else, which a plan may name, is not asked for."""


@task(name="prepare", task_run_name="prepare", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def prepare(request: BuildRequest, run_id: str) -> Run:
    """The open run of a request; entered again, the one that was pinned the first time."""
    # Or the run's first sentences were lost; what its settings say of it is known only after them.
    logging.getLogger("graftline").setLevel(logging.INFO)
    for said in await look_after_dead_runs(os.environ):
        logger.warning("%s", said)
    run = await enter_run(request, run_id, os.environ, load_blocks=load_blocks)
    logging.getLogger("graftline").setLevel(run.settings.logging.level)
    async with get_client() as client:
        await client.update_flow_run(UUID(run_id), name=run.pinned.name)
        run.deployment = str((await client.read_flow_run(UUID(run_id))).deployment_id or "")
        await tell_of_dead_runs(client, os.environ)
        await close_suspended_runs(client, os.environ)
        await crash_parts(client, UUID(run_id), but=runtime.task_run.id and UUID(runtime.task_run.id))
        run.folder.untold.unlink(missing_ok=True)
    return run


async def load_blocks(names: Iterable[str]) -> dict[str, AnyProfile]:
    """The agent blocks of these names on the Prefect server, as the profiles they stand for; not all need be there."""
    possible = [name for name in names if BLOCK_NAME.fullmatch(name)]
    return {name: profile for name in possible if (profile := await _load_block(name)) is not None}


async def _load_block(name: str) -> AnyProfile | None:
    for kind in AGENT_BLOCKS:
        try:
            return to_profile(await kind.aload(name))
        except ValueError:  # Prefect's word for a block that does not exist
            continue
    return None
