"""Agents that are kept as blocks on the Prefect server, named by tasks and by the settings."""

import sys

from graftline.demo import agent
from graftline.journal import EventKind
from graftline.report.model import RunState
from tests.pipeline import Project, runs_flows, task, write

pytestmark = runs_flows


async def test_one_command_makes_every_type_known_to_a_server(prefect_server: None) -> None:
    from prefect.cli.block import register  # noqa: PLC0415 - see tests/pipeline.py
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    from graftline.blocks import AGENT_BLOCKS  # noqa: PLC0415 - imports Prefect

    del prefect_server  # it only has to be there
    await register(module_name="graftline.blocks")

    async with get_client() as client:
        known = {kind.slug for kind in await client.read_block_types()}
    assert {kind.get_block_type_slug() for kind in AGENT_BLOCKS} <= known


async def test_tasks_and_settings_name_blocks(project: Project) -> None:
    from graftline.blocks import Command  # noqa: PLC0415 - imports Prefect

    program = [sys.executable, agent.__file__, str(project.signals / "script.yaml")]
    for name, cost_usd in {"reviewer": 0.25, "nightly": 0.5, "scripted": 9.0}.items():
        await Command(command=program, cost_usd=cost_usd).asave(name)
    plan = [task("a", agent="reviewer"), task("b"), task("c", agent="scripted")]
    script = {one.id: [write(f"{one.id}.txt")] for one in plan}
    settings = {"agent": {"backend": "nightly"}}

    built = await project.build(plan, script, settings=settings)

    assert built.report.state is RunState.LANDED, built.report.reason
    # The profile of graftline.toml goes before the block of its name.
    costs = {entry.task: entry.data["cost_usd"] for entry in built.of(EventKind.ATTEMPT_ENDED)}
    assert costs == {"a": 0.25, "b": 0.5, "c": 0.0}
    again = await project.enter(built.report.flow_run_id)
    assert (again.report.state, len(again.agents)) == (RunState.LANDED, 3)
