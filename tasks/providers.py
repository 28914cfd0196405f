"""The providers of a run's agents, each with a gate that all runs of one Prefect server share.

A gate is a Prefect variable that says until when the provider is left alone. It opens by itself, whoever closed it, and
whoever deletes the variable opens it. (A concurrency limit whose slots are all taken would stay closed for good when
the process that closed it is killed.)
"""

import asyncio
import json
import logging
import random
import re
from datetime import UTC, datetime
from time import monotonic

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from pydantic import ValidationError

from graftline.agents.outcome import POLICIES, Policy
from graftline.gate import Gate, close_gate
from graftline.journal import EventKind
from graftline.plan import TaskSpec
from graftline.records import AttemptRecord
from graftline.run import Run
from graftline.tasks.watch import SERVER_ERRORS
from graftline.text import plain_line

LOOK_SECONDS = 5.0
"""How often a closed gate is looked at: somebody may open it, and another run close it for longer."""
SPREAD_SECONDS = 3.0
"""Those who waited come back within this time, not all at once."""
REASON_CHARS = 200

logger = logging.getLogger(__name__)


class Providers:
    """What is known of the providers that a run's agents call."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._gates: dict[str, Gate | None] = {}
        self._looked: dict[str, float] = {}
        self._looking = asyncio.Lock()
        self._waited: dict[str, float] = {}
        self._told: dict[str, datetime] = {}

    async def wait(self, spec: TaskSpec) -> None:
        """Wait until the provider of a task's agent takes requests, or the run is to start nothing more.

        The run's time limit stands still meanwhile.
        """
        provider = self._provider(spec)
        gate = await self._gate(provider)
        if gate is None or not gate.is_closed(datetime.now(UTC)):
            return
        begun = monotonic()
        with self._run.clock.stopped():
            while gate is not None and gate.is_closed(datetime.now(UTC)) and not self._run.stop_reason:
                self._tell(spec, provider, gate)
                left = (gate.until - datetime.now(UTC)).total_seconds()
                await asyncio.sleep(min(max(0.0, left), LOOK_SECONDS))
                if left < LOOK_SECONDS:
                    await asyncio.sleep(random.uniform(0, min(SPREAD_SECONDS, left)))  # noqa: S311  no secret
                gate = await self._gate(provider)
        self._waited[spec.id] = self._waited.get(spec.id, 0.0) + monotonic() - begun

    async def is_open(self, spec: TaskSpec) -> bool:
        """Whether a task that has its slot may still start: while it waited for that, others may have been refused."""
        gate = await self._gate(self._provider(spec))
        return bool(self._run.stop_reason) or gate is None or not gate.is_closed(datetime.now(UTC))

    async def must_wait(self, spec: TaskSpec, record: AttemptRecord) -> bool:
        """Whether an attempt is to be made again once its provider takes requests; closes the gate, or opens it."""
        provider = self._provider(spec)
        if POLICIES[record.outcome] is not Policy.WAIT or not provider:
            if record.is_done and self._gates.get(provider) is not None:
                await self._keep(provider, None)
            return False
        settings = self._run.settings.provider
        reason = plain_line(f"{record.outcome}: {record.detail}", REASON_CHARS)
        self._looked.pop(provider, None)
        gate = close_gate(
            await self._gate(provider),
            now=datetime.now(UTC),
            retry_at=record.retry_at,
            reason=reason,
            settings=settings,
        )
        await self._keep(provider, gate)
        if self._waited.get(spec.id, 0.0) >= settings.give_up_seconds or self._run.stop_reason:
            return False
        self._tell(spec, provider, gate)
        return True

    def _provider(self, spec: TaskSpec) -> str:
        return self._run.agent(spec).backend.provider(self._run.environ)

    def _tell(self, spec: TaskSpec, provider: str, gate: Gate) -> None:
        """Say once what a task waits for, and until when."""
        if self._told.get(spec.id) == gate.until:
            return
        self._told[spec.id] = gate.until
        until = gate.until.isoformat(timespec="seconds")
        self._run.journal.append(
            EventKind.PROVIDER_WAITED_FOR, task=spec.id, provider=provider, until=until, reason=gate.reason
        )

    async def _gate(self, provider: str) -> Gate | None:
        """The gate as the server has it, looked up at most every few seconds for all tasks together."""
        if not provider:
            return None
        async with self._looking:
            known = self._gates.get(provider)
            # An open gate is looked at before each start; a closed one by all who wait for it.
            fresh = monotonic() - self._looked.get(provider, float("-inf")) < LOOK_SECONDS
            if not (fresh and known is not None and known.is_closed(datetime.now(UTC))):
                self._gates[provider] = await self._read(provider)
                self._looked[provider] = monotonic()
            return self._gates[provider]

    async def _read(self, provider: str) -> Gate | None:
        try:
            async with get_client() as client:
                variable = await client.read_variable_by_name(variable_name(provider))
        except SERVER_ERRORS as error:
            logger.warning("the Prefect server did not say whether %s takes requests: %s", provider, error)
            return self._gates.get(provider)
        if variable is None:
            return None
        try:
            return Gate.model_validate_json(json.dumps(variable.value))
        except ValidationError:  # somebody edited it
            logger.warning("the Prefect variable %s is not a gate; it is ignored", variable.name)
            return None

    async def _keep(self, provider: str, gate: Gate | None) -> None:
        """Put the gate on the server; without one the variable goes."""
        self._gates[provider] = gate
        name = variable_name(provider)
        try:
            async with get_client() as client:
                if gate is None:
                    await client.delete_variable_by_name(name)
                    return
                value = gate.model_dump(mode="json")
                try:
                    await client.create_variable(VariableCreate(name=name, value=value))
                except ObjectAlreadyExists:
                    await client.update_variable(VariableUpdate(name=name, value=value))
        except ObjectNotFound:  # somebody else deleted it
            pass
        except SERVER_ERRORS as error:
            logger.warning("the Prefect server could not be told whether %s takes requests: %s", provider, error)


def variable_name(provider: str) -> str:
    """The Prefect variable that holds a provider's gate; a name there has small letters, digits and underscores."""
    return "graftline_provider_" + re.sub(r"[^a-z0-9]+", "_", provider.lower()).strip("_")
