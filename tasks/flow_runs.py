"""A run's flow run on the Prefect server: what is asked of it and forced upon it, from outside of the run.

Nobody tells the server that a process was killed: its rows say Running for ever, unless somebody who knows says so.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Crashed, Pending

from graftline.lease import holder_of
from graftline.recovery import is_unended
from graftline.report.files import read_report
from graftline.store import find_place, state_directory

GOES_ON = [StateType.RUNNING, StateType.CANCELLING]
UNFINISHED = [kind for kind in StateType if kind not in TERMINAL_STATES]
KILLED = "its process was killed or died"


async def request_cancellation(client: PrefectClient, run_id: str) -> bool:
    """Ask a run to cancel itself, as the UI's Cancel does; False when the server does not know it or it is over."""
    try:
        flow_run = await client.read_flow_run(UUID(run_id))
    except ObjectNotFound:
        return False
    if flow_run.state is None or flow_run.state.is_final():
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


async def crash_dead_flow_runs(client: PrefectClient, environ: Mapping[str, str], found: Collection[str]) -> None:
    """End what the server takes for running although its process died and was looked after.

    That is every such flow run, also one that was looked after while no server was up, and all parts of those that were
    `found` dead just now: whoever started a deployment's run may have ended the flow run already, and nothing else.
    """
    state_dir = state_directory(environ)
    running = await client.read_flow_runs(flow_run_filter=FlowRunFilter(state=_in(GOES_ON)))
    for flow_run in running:
        folder = find_place(state_dir, str(flow_run.id))
        if folder is None or holder_of(folder.path) is not None or is_unended(folder):
            continue
        report = read_report(folder)
        await client.set_flow_run_state(flow_run.id, Crashed(message=report.reason if report else KILLED), force=True)
        await crash_parts(client, flow_run.id)
    for run_id in found:
        folder = find_place(state_dir, run_id)
        if folder is not None and holder_of(folder.path) is None:
            await crash_parts(client, UUID(run_id))


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


def _in(kinds: list[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds))
