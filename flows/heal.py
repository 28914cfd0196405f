"""The self-heal subflow, one round: confirmed failures go back to the agents whose work turned the tests red."""

import asyncio

from prefect import flow

from graftline.healing import Assigned, assign
from graftline.integration import integrate_heals
from graftline.interruption import signals_held
from graftline.journal import EventKind
from graftline.records import AttemptRecord
from graftline.run import Run, live_run
from graftline.tasks.heal import heal_one
from graftline.tasks.slots import Slots
from graftline.verification import confirm, verdict_of


@flow(name="heal", flow_run_name="heal round {number}", persist_result=False, log_prints=False)
async def heal(run_id: str, number: int, candidate: str) -> str | None:
    """The commit to verify next: the healed candidate, or the same one when its failures did not happen again.

    None when nobody is left to ask, or none of those asked came up with anything.
    """
    with signals_held():
        return await heal_round(live_run(run_id), number, candidate)


async def heal_round(run: Run, number: int, candidate: str) -> str | None:
    """Confirm what failed, ask those it is assigned to, and integrate what they come up with."""
    verified = await verdict_of(run, candidate, f"round-{number}")
    confirmation = await confirm(run, verified, f"confirm-{number}")
    if confirmation.flaky and not confirmation.confirmed:
        return candidate
    assigned = await assign(run, confirmation.confirmed)
    if not assigned:
        run.journal.append(EventKind.WARNING, text="no task is left that could be asked to heal the failing tests")
        return None
    slots = await Slots.of(run)
    async with asyncio.TaskGroup() as group:
        heals = [group.create_task(heal_in_turn(run, candidate, number, one, slots)) for one in assigned]
    healed = await integrate_heals(run, candidate, [done.result() for done in heals], number)
    return healed.commit if healed.merged else None


async def heal_in_turn(run: Run, candidate: str, number: int, assigned: Assigned, slots: Slots) -> AttemptRecord:
    """One heal call, made when it is its turn."""
    spec, name = run.plan.task(assigned.task), f"heal {assigned.task}"
    while True:
        async with slots.hold(spec):
            healed = await heal_one.with_options(name=name, task_run_name=name)(run.id, candidate, assigned, number)
        if not await slots.providers.must_wait(spec, healed.record):
            return healed.record
