"""How what a person decides reaches the flow run that waits for it: the same way as from the form in Prefect's UI."""

from collections.abc import Mapping
from uuid import UUID

import anyio
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound

POLL_SECONDS = 2
"""How often a paused flow run looks whether it goes on; Prefect counts in whole seconds."""
RESUME_SECONDS = 10.0
"""How long it is sent again: what waits is in the journal moments before its flow run can take anything."""
AGAIN_SECONDS = 0.2


async def send_input(client: PrefectClient, flow_run: str, run_input: Mapping[str, str], *, form: str = "") -> str:
    """Resume a flow run with what a person filled in; why that was not possible, empty when it was.

    With `form`, only what waits with that form is resumed: a flow run that was answered may wait for the next thing.
    """
    reason = "it does not wait for an answer"
    with anyio.move_on_after(RESUME_SECONDS):
        while True:
            try:
                if form and not _waits_with(form, await client.read_flow_run(UUID(flow_run))):
                    return "somebody else was faster"
                result = await client.resume_flow_run(UUID(flow_run), run_input=dict(run_input))
            except ObjectNotFound:
                return "this Prefect server does not know it"
            if result.status is SetStateStatus.ACCEPT:
                return ""
            reason = getattr(result.details, "reason", None) or reason
            await anyio.sleep(AGAIN_SECONDS)
    return reason


def _waits_with(form: str, flow_run: FlowRun) -> bool:
    """Whether a flow run waits with a form, or may be about to."""
    if flow_run.state is None or flow_run.state.is_final():
        return False
    keys = flow_run.state.state_details.run_input_keyset
    return keys is None or keys["response"] == response_key(form)


def response_key(form: str) -> str:
    """Where the Prefect server keeps what was filled into a form."""
    return f"{form}-response"
