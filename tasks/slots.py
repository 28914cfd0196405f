"""Who may run now: limits within the run, in its order, and across runs by what the Prefect server keeps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic

from prefect.client.orchestration import get_client
from prefect.concurrency.asyncio import concurrency

from graftline.plan import TaskSpec
from graftline.run import Run
from graftline.tasks.providers import Providers
from graftline.turns import Turns

AGENTS_LIMIT = "graftline-agents"
LEASE_SECONDS = 60
"""The shortest lease Prefect grants: a holder that is killed frees its slot this long after."""


class Slots:
    """The run's agent slots and those of its concurrency groups; waiting for one holds none."""

    def __init__(self, run: Run) -> None:
        self.providers = Providers(run)
        self._limits = run.settings.limits
        self._rank = {task: rank for rank, task in enumerate(run.graph.order)}
        self._agents = Turns(run.settings.agent.max_concurrent)
        names = {spec.concurrency_group for spec in run.plan.tasks if spec.concurrency_group}
        self._groups = {name: Turns(self._limits.groups.get(name, 1)) for name in names}
        self._stagger_seconds = run.settings.agent.stagger_seconds
        self._start = asyncio.Lock()
        self._last_start = float("-inf")

    @classmethod
    async def of(cls, run: Run) -> "Slots":
        """The slots of a run; the limits across runs are put on the server first."""
        slots = cls(run)
        limits = run.settings.limits
        wanted = {_group_limit(name): limits.groups[name] for name in slots._groups if name in limits.groups}
        if limits.agents:
            wanted[AGENTS_LIMIT] = limits.agents
        if wanted:
            async with get_client() as client:
                for name, limit in wanted.items():
                    await client.upsert_global_concurrency_limit_by_name(name, limit)
        return slots

    @asynccontextmanager
    async def hold(self, spec: TaskSpec) -> AsyncIterator[None]:
        """Hold what a task needs to run: its provider's open gate, then its group's slot, the run's, those across runs.

        Of the tasks that wait for a slot, the first in the run's order gets it: by priority, then as in the plan. Who
        waits for a provider holds none.
        """
        while True:
            await self.providers.wait(spec)
            async with self._slots(spec):
                if await self.providers.is_open(spec):
                    await self._stagger()
                    yield
                    return

    @asynccontextmanager
    async def _slots(self, spec: TaskSpec) -> AsyncIterator[None]:
        rank = self._rank[spec.id]
        async with AsyncExitStack() as stack:
            across = []
            if spec.concurrency_group:
                await stack.enter_async_context(self._groups[spec.concurrency_group].hold(rank))
                if spec.concurrency_group in self._limits.groups:
                    across.append(_group_limit(spec.concurrency_group))
            await stack.enter_async_context(self._agents.hold(rank))
            if self._limits.agents:
                across.append(AGENTS_LIMIT)
            if across:
                # What takes slots has a client of its own, which does not wait for a server it has never met.
                async with get_client() as client:
                    await client.hello()
                # A server restart must not end an agent that has worked for half an hour: it costs a slot only.
                await stack.enter_async_context(
                    concurrency(across, strict=True, raise_on_lease_renewal_failure=False, lease_duration=LEASE_SECONDS)
                )
            yield

    async def _stagger(self) -> None:
        """Let agents start one after another, `[agent] stagger_seconds` apart."""
        if self._stagger_seconds:
            async with self._start:
                await asyncio.sleep(max(0.0, self._last_start + self._stagger_seconds - monotonic()))
                self._last_start = monotonic()


def _group_limit(name: str) -> str:
    return f"graftline-group-{name}"
