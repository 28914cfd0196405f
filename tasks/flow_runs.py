"""A run's flow run on the Prefect server: what is asked of it and forced upon it, from outside of the run.

Nobody tells the server that a process was killed: its rows say Running for ever, unless somebody who knows says so.
"""

from collections.abc import Mapping
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Crashed, Pending

from graftline.lease import holder_of
from graftline.report.files import read_report
from graftline.store import RunFolder, state_directory, untold_runs

UNFINISHED = [kind for kind in StateType if kind not in TERMINAL_STATES]
KILLED = "its process was killed or died"


async def request_cancellation(client: PrefectClient, folder: RunFolder) -> bool:
    """Ask a run to cancel itself, as the UI's Cancel does; False when the server does not know it or it is over."""
    try:
        flow_run = await client.read_flow_run(UUID(folder.id))
    except ObjectNotFound:
        return False
    # Not its state: who starts a deployment's runs tells of a killed process late, also when another carries it out.
    if holder_of(folder.path) is None:
        return False
    await client.set_flow_run_state(flow_run.id, Cancelling(message="asked for by graftline abort"), force=True)
    return True


async def make_ready(client: PrefectClient, run_id: str) -> FlowRun:
    """The flow run of a run that nobody carries out, in a state in which this process can enter it again.

    Pending and not Scheduled: what is scheduled, the worker or runner of a deployment would take for itself.

    Raises:
        ObjectNotFound: the server does not know it.
    """
    flow_run = await client.read_flow_run(UUID(run_id))
    if flow_run.state is not None and not flow_run.state.is_final():
        await client.set_flow_run_state(flow_run.id, Crashed(message=KILLED), force=True)
    await client.set_flow_run_state(flow_run.id, Pending(message="entered again by graftline resume"), force=True)
    return await client.read_flow_run(flow_run.id)


async def tell_of_dead_runs(client: PrefectClient, environ: Mapping[str, str]) -> None:
    """Crash the flow runs, with all their parts, of runs that were found dead, where this server knows them.

    One that somebody carries out again by now is left to them.
    """
    for folder in untold_runs(state_directory(environ)):
        if holder_of(folder.path) is not None:
            continue
        try:
            flow_run = await client.read_flow_run(UUID(folder.id))
        except ObjectNotFound:  # it is another server's
            continue
        await crash_parts(client, flow_run.id)
        if flow_run.state is not None and not flow_run.state.is_final():
            report = read_report(folder)
            message = report.reason if report else KILLED
            await client.set_flow_run_state(flow_run.id, Crashed(message=message), force=True)
        folder.untold.unlink(missing_ok=True)


async def crash_parts(client: PrefectClient, flow_run_id: UUID, *, but: UUID | None = None) -> None:
    """End the task runs and subflow runs of a flow run that a dead process left unfinished, `but` one task run."""
    parts = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run_id]))
    for part in await client.read_flow_runs(flow_run_filter=parts):
        await crash_parts(client, part.id)
        if part.state is not None and not part.state.is_final():
            await client.set_flow_run_state(part.id, Crashed(message=KILLED), force=True)
    left = await client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
        task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=UNFINISHED))),
    )
    for task_run in left:
        if task_run.id != but:
            await client.set_task_run_state(task_run.id, Crashed(message=KILLED), force=True)
