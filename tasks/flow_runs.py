"""A run's flow run on the Prefect server: what is asked of it and forced upon it, from outside of the run.

Nobody tells the server that a process was killed: its rows say Running for ever, unless somebody who knows says so.
"""

from collections.abc import Mapping
from contextlib import suppress
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
from prefect.states import Cancelled, Cancelling, Crashed, Pending

from graftline.errors import RepositoryError, RunBusyError, ServerUnavailableError
from graftline.lease import holder_of
from graftline.opening import close_suspended
from graftline.recovery import find_suspended
from graftline.report.files import read_report
from graftline.run import CANCELLED
from graftline.store import RunFolder, state_directory, untold_runs

UNFINISHED = [kind for kind in StateType if kind not in TERMINAL_STATES]
ABORTED = "asked for by graftline abort"
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
    await client.set_flow_run_state(flow_run.id, Cancelling(message=ABORTED), force=True)
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


async def cancel_suspended(client: PrefectClient, folder: RunFolder, environ: Mapping[str, str]) -> None:
    """Cancel a suspended run, on the server and in its own records.

    Raises:
        ServerUnavailableError: this server does not know it: somebody may still approve it on its own.
        RunBusyError: somebody has decided, and a process carries it out by now.
    """
    try:
        await client.set_flow_run_state(UUID(folder.id), Cancelled(message=ABORTED), force=True)
    except ObjectNotFound as error:
        raise ServerUnavailableError(
            f"the Prefect server at {client.api_url} does not know run {folder.id}: name its own with PREFECT_API_URL"
        ) from error
    await close_suspended(folder, environ, CANCELLED)


async def close_suspended_runs(client: PrefectClient, environ: Mapping[str, str]) -> None:
    """Write the end of runs that came to it on the server while they were suspended: cancelled there, or in vain."""
    for folder in find_suspended(state_directory(environ)):
        try:
            state = (await client.read_flow_run(UUID(folder.id))).state
        except ObjectNotFound:  # it is another server's
            continue
        if state is not None and state.is_final():
            why = (
                CANCELLED if state.is_cancelled() else f"it waited for a person in vain: {state.message or state.name}"
            )
            with suppress(RunBusyError, RepositoryError):  # somebody else was faster; or it is out of reach
                await close_suspended(folder, environ, why)


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
