"""The form in which a person answers an agent's question, and how an answer is sent: by Prefect's UI or by a command.

Both resume the flow run that waits for it.
"""

from uuid import UUID

import anyio
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.input import RunInput
from pydantic import Field

from graftline.questions import ANSWER_CHARS

RESUME_SECONDS = 10.0
"""How long an answer is sent again: a question is in the journal moments before its flow run can take the answer."""
POLL_SECONDS = 0.2


class Answer(RunInput):
    """What the agent gets to know. Required: a form that is sent off empty must not go on."""

    answer: str = Field(
        title="Answer",
        description="What the agent gets to read, word for word",
        min_length=1,
        max_length=ANSWER_CHARS,
        pattern=r"\S",
    )


async def send_answer(client: PrefectClient, flow_run: str, text: str) -> str:
    """Answer the question that a flow run waits with; why that was not possible, empty when it was."""
    reason = "it does not wait for an answer"
    with anyio.move_on_after(RESUME_SECONDS):
        while True:
            try:
                result = await client.resume_flow_run(UUID(flow_run), run_input={"answer": text})
            except ObjectNotFound:
                return "this Prefect server does not know the question"
            if result.status is SetStateStatus.ACCEPT:
                return ""
            reason = getattr(result.details, "reason", None) or reason
            await anyio.sleep(POLL_SECONDS)
    return reason
