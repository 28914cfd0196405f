"""The form in which a person answers an agent's question, and how an answer is sent: by Prefect's UI or by a command.

Both resume the flow run that waits for it.
"""

from prefect.client.orchestration import PrefectClient
from prefect.input import RunInput
from pydantic import Field

from graftline.questions import ANSWER_CHARS
from graftline.tasks.people import send_input


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
    return await send_input(client, flow_run, {"answer": text})
