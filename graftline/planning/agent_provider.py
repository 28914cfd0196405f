"""Plans by an agent CLI that is installed already: for people whose subscription comes without a key for an API.

The CLI works in an empty folder and without tools: it knows of the repository what any other planner is shown, and the
same question has the same answer, whatever lies around.
"""

import shutil
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread

from graftline.agents.backend import AgentBackend, Assignment, Form
from graftline.agents.calls import call_agent
from graftline.agents.outcome import OutcomeKind, Usage
from graftline.errors import CannotRunError
from graftline.planning.answer import read_answer
from graftline.planning.api import FREE
from graftline.planning.provider import Answer, Message, Question, Refusal
from graftline.planning.schemas import strict_schema
from graftline.private_files import make_folder
from graftline.process import Limits, OnStart, ProcessIdentity
from graftline.settings import TimeoutSettings


class AgentProvider:
    """Has an agent CLI fill in a form."""

    type: Literal["agent"] = "agent"

    def __init__(
        self,
        backend: AgentBackend,
        *,
        profile: str,
        model: str,
        environ: Mapping[str, str],
        timeouts: TimeoutSettings,
    ) -> None:
        self._agent = backend
        self._environ = environ
        self._limits = Limits(wall_seconds=timeouts.task_seconds, stall_seconds=timeouts.output_stall_seconds)
        self.backend = backend.type
        self.profile = profile
        self.model = model
        self.host = backend.provider(environ)
        self.call_cost_usd = backend.call_cost_usd
        self.capabilities = backend.capabilities

    async def ask(
        self, question: Question, *, budget_usd: float | None, folder: Path, on_start: OnStart
    ) -> Answer | Refusal:
        """One call of the CLI; its prompt and log stay in the folder, its home does not."""
        assignment = Assignment(
            prompt=_prompt(question.messages),
            worktree=make_folder(folder / "empty"),
            folder=folder,
            facts={},
            env={},
            environ=self._environ,
            budget_usd=budget_usd,
            session_id=str(uuid.uuid4()),
            form=Form(strict_schema(question.schema), question.system),
        )
        begun: list[ProcessIdentity] = []

        def on_begin(process: ProcessIdentity) -> None:
            begun.append(process)
            on_start(process)

        try:
            outcome = await call_agent(
                self._agent,
                assignment,
                limits=self._limits,
                on_progress=_ignore,
                on_notice=_ignore,
                on_start=on_begin,
            )
        except CannotRunError as error:
            return Refusal(OutcomeKind.CONFIG, str(error), Usage() if begun else FREE)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(partial(shutil.rmtree, assignment.home, ignore_errors=True))
        if outcome.kind is not OutcomeKind.OK:
            return Refusal(outcome.kind, outcome.detail, outcome.usage, outcome.retry_at)
        return read_answer(
            question, outcome.answer, stop="end", usage=outcome.usage, model=outcome.model, version=outcome.version
        )


def _ignore(told: object) -> None:
    """What a CLI tells on the way is of no use: it can do nothing but answer."""


def _prompt(messages: Sequence[Message]) -> str:
    """A conversation as one prompt, since every call of the CLI is its first."""
    first, *others = messages
    parts = [first.text]
    for message in others:
        said = "You answered" if message.role == "assistant" else "What was said to that"
        parts.append(f"# {said}\n\n{message.text}")
    return "\n\n---\n\n".join(parts)
