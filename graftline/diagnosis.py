"""What is there of all that runs need, and what is missing: looked at without a run, and nothing is spent or sent.

Unlike `graftline.preflight`, which ends at the first thing in the way of one request, this goes on and collects.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from graftline.agents.backend import Probe
from graftline.agents.backends import resolve_backend
from graftline.agents.profiles import PROFILE_TYPES
from graftline.agents.tiers import Tier
from graftline.errors import GraftlineError, PlannerUnavailableError
from graftline.git.command import check_git
from graftline.git.repository import Repository, list_files, open_repository
from graftline.planning.choice import choose_provider, stated_way
from graftline.preflight import check_disk, check_tools, disk_of
from graftline.server import Server, configured_server, read_address
from graftline.settings import Settings, load_settings
from graftline.settings_sources import FILE_NAME
from graftline.store import state_place
from graftline.verify.detect import find_test_command

AskServer = Callable[[Server], Awaitable[None]]
"""Raises ServerUnavailableError when nobody answers at a server's address."""


@dataclass(frozen=True)
class Check:
    """One thing that every run needs: what was found of it, or what is wrong with it and how to mend that."""

    name: str
    found: str = ""
    problem: str = ""


@dataclass(frozen=True)
class AgentCheck:
    """One backend type or profile: what is installed of it, who answers it, and what is missing and how to get it.

    `is_used` is true of what the settings send tasks to.
    """

    name: str
    tier: Tier | None
    is_used: bool
    provider: str
    probe: Probe


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was looked at; `types` are all agents there could be, `profiles` those that were configured."""

    checks: tuple[Check, ...]
    types: tuple[AgentCheck, ...]
    profiles: tuple[AgentCheck, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what is needed here and cannot be used."""
        agents = (agent for agent in (*self.types, *self.profiles) if agent.is_used and agent.probe.problems)
        return (*(check.name for check in self.checks if check.problem), *(agent.name for agent in agents))


async def diagnose(place: Path, environ: Mapping[str, str], *, ask: AskServer) -> Diagnosis:
    """What the repository at a place needs, and all agents; outside of a repository, what the defaults need."""
    git = await _check("git", _git())
    repository, why = await anyio.to_thread.run_sync(_repository, place)
    settings, read = _settings(repository, why, environ)
    known = settings or Settings()
    used = _used_agents(settings) if settings else frozenset()
    types = (_look_at(name, known, used, environ) for name in PROFILE_TYPES)
    profiles = (_look_at(name, known, used, environ) for name in known.agents)
    return Diagnosis(
        checks=(
            git,
            read,
            await _check("server", _server(environ, ask)),
            await _check("state", _state(repository, known, environ)),
            await _check("tests", _tests(repository, settings, environ)),
            await _check("planner", _planner(settings, environ)),
        ),
        types=tuple(await asyncio.gather(*types)),
        profiles=tuple(await asyncio.gather(*profiles)),
    )


async def _check(name: str, look: Awaitable[str]) -> Check:
    try:
        return Check(name, found=await look)
    except GraftlineError as error:
        return Check(name, problem=str(error))


async def _git() -> str:
    return check_git()


def _repository(place: Path) -> tuple[Repository | None, str]:
    """The repository of a place, or why there is none."""
    try:
        return open_repository(place), ""
    except GraftlineError as error:
        return None, str(error)


def _settings(repository: Repository | None, why: str, environ: Mapping[str, str]) -> tuple[Settings | None, Check]:
    """The settings that hold there, with where they were looked for; none when they cannot be read."""
    folder = repository.path if repository else None
    try:
        settings = load_settings(folder, environ=environ).settings
    except GraftlineError as error:
        return None, Check("settings", problem=str(error))
    if folder is None:
        return settings, Check("settings", found=f"the defaults and variables ({why})")
    file = folder / FILE_NAME
    return settings, Check("settings", found=str(file) if file.is_file() else f"the defaults and variables, no {file}")


def _used_agents(settings: Settings) -> frozenset[str]:
    """The agent of tasks that ask for none, and the profiles of tiers that tasks are led to."""
    tiers = {*settings.models.labels.values(), *settings.models.escalation}
    return frozenset((settings.agent.backend, *(name for name, each in settings.agents.items() if each.tier in tiers)))


async def _server(environ: Mapping[str, str], ask: AskServer) -> str:
    server = configured_server(environ)
    if server is not None:
        await ask(server)
        return f"{server.api_url}, which answers"
    address = read_address(state_place(environ))
    return f"graftline's own, running at {address.ui_url}" if address else "graftline's own, which starts with a run"


async def _state(repository: Repository | None, settings: Settings, environ: Mapping[str, str]) -> str:
    tree_bytes = list_files(repository, "HEAD")[1] if repository else 0
    check_disk(tree_bytes, 1, settings, environ)
    folder = state_place(environ)
    return f"{folder}, {shutil.disk_usage(disk_of(folder)).free // 2**20} MB free"


async def _tests(repository: Repository | None, settings: Settings | None, environ: Mapping[str, str]) -> str:
    if repository is None or settings is None:
        return f"not looked for without {'settings' if repository else 'a repository'}"
    tracked = list_files(repository, "HEAD")[0]
    command = find_test_command(settings.test, repository.path, environ, tracked=tracked)
    if command is None:
        return 'none: results land untested ([test] runner = "none")'
    versions = (await check_tools(command, environ)).partition(", installed ")[0]
    return f"{' '.join(command.argv)} ({versions})"


async def _planner(settings: Settings | None, environ: Mapping[str, str]) -> str:
    """Who would plan; that there is nobody is wrong only where a setting asks for somebody: plan files need none."""
    if settings is None:
        return "not looked for without settings"
    try:
        return str(await choose_provider(settings, environ))
    except PlannerUnavailableError as error:
        if stated_way(settings):
            raise
        return f"none: {error}"


async def _look_at(name: str, settings: Settings, used: frozenset[str], environ: Mapping[str, str]) -> AgentCheck:
    """One agent, by the name that a task would call it by."""
    profile = settings.agents.get(name)
    kind = profile.type if profile else name
    tier = profile.tier if profile else None
    provider = ""
    required = [f"`{key}`" for key, field in PROFILE_TYPES[kind].model_fields.items() if field.is_required()]
    if required and profile is None:
        need = f'it needs a profile: write [agents.NAME] with type = "{kind}" and its {", ".join(required)}'
        return AgentCheck(name, tier, name in used, provider, Probe(kind, "", problems=(need,)))
    try:
        backend = resolve_backend(settings, name)
        provider = backend.provider(environ)
        probe = await backend.probe(environ)
    except GraftlineError as error:
        probe = Probe(kind, "", problems=(str(error),))
    return AgentCheck(name, tier, name in used, provider, probe)
