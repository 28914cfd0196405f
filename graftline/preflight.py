"""Every check that can refuse a run, made before anything is spent; it reads and writes nothing."""

import shutil
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import anyio

from graftline.agents.backend import Probe
from graftline.agents.environment import refused_names
from graftline.agents.profiles import PROFILE_TYPES, AnyProfile
from graftline.agents.routing import plan_agents
from graftline.budget import tells_its_cost
from graftline.errors import AgentUnavailableError, CannotRunError, ManifestError, Problem, UserError
from graftline.git.command import check_git
from graftline.git.landing import check_result_branch
from graftline.git.repository import (
    Repository,
    Target,
    check_features,
    list_files,
    open_repository,
    resolve_target,
    uncommitted_changes,
)
from graftline.manifest import Manifest, load_manifest, parse_plan
from graftline.plan import Plan
from graftline.planning.choice import Choice, choose_provider
from graftline.report.wording import money
from graftline.request import BuildRequest
from graftline.settings import Effective, Settings, load_settings, stated_agents
from graftline.store import run_name, state_place
from graftline.verify.detect import TestCommand, check_test_command, find_test_command

LoadBlocks = Callable[[frozenset[str]], Awaitable[Mapping[str, AnyProfile]]]
"""Finds profiles that are kept on the Prefect server, those that there are of the names."""
NO_BLOCKS: Mapping[str, AnyProfile] = MappingProxyType({})
RETIRED_BYTES = 2**30
"""What worktrees that wait for the end of the run may take together, going by the size of the base's files."""
SPARE_BYTES = 100 * 2**20
"""Disk that a run leaves free beyond its worktrees: logs, transcripts, the agents' own build output."""


@dataclass(frozen=True)
class Checked:
    """A request that nothing stands in the way of, as far as can be known beforehand.

    There is no manifest where the planner is still to make the plan, and no planner where there is a plan.
    """

    repository: Repository
    target: Target
    manifest: Manifest | None
    planner: Choice | None
    effective: Effective
    test_command: TestCommand | None
    test_tools: str
    tree_bytes: int
    probes: tuple[Probe, ...]
    notes: tuple[str, ...]

    @property
    def settings(self) -> Settings:
        """The effective settings."""
        return self.effective.settings


async def no_blocks(names: frozenset[str]) -> Mapping[str, AnyProfile]:
    """For whoever has no Prefect server to ask."""
    del names
    return NO_BLOCKS


async def check_request(
    request: BuildRequest, environ: Mapping[str, str], *, load_blocks: LoadBlocks = no_blocks
) -> Checked:
    """A request checked against plan, settings, repository, test command, agents and disk.

    Cheap checks of what the person wrote come first, so that bad input answers at once. `load_blocks` is asked for the
    agents that no profile and no type is called like.

    Raises:
        UserError: the request, the plan, a setting, the repository or the target has to be corrected.
        CannotRunError: git, an agent CLI, a test runner or disk space is missing.
        PlannerUnavailableError: nobody is there to make a plan of a request in words.
    """
    check_git()
    repository = await anyio.to_thread.run_sync(open_repository, Path(request.repository))
    blocks = await load_blocks(agents_of_blocks(request, repository, environ))
    effective = load_effective(request, repository, environ, blocks=blocks)
    manifest = read_plan(request, repository, agents=(*effective.settings.agents, *PROFILE_TYPES))
    target = await anyio.to_thread.run_sync(resolve_target, repository, request.target or None)
    plan = manifest.plan if manifest is not None else None
    # Its name ends with the run's id, which nobody knows yet; what is in its way is in the way of any.
    name = run_name(plan.title if plan is not None else request.title, "0" * 36)
    await check_result_branch(repository, f"{effective.settings.git.branch_prefix}/{name}")
    features = await anyio.to_thread.run_sync(check_features, repository, target.commit)
    tracked, tree_bytes = await anyio.to_thread.run_sync(list_files, repository, target.commit)
    test_command = find_test_command(effective.settings.test, repository.path, environ, tracked=tracked)
    tools = "" if test_command is None else await check_tools(test_command, environ)
    # Before the agents: who has neither is told how to get a planner, which may bring an agent along.
    planner = await choose_provider(effective.settings, environ) if manifest is None else None
    probes = await check_plan(plan, effective.settings, environ)
    check_disk(tree_bytes, 0 if plan is None else len(plan.tasks), effective.settings, environ)
    return Checked(
        repository=repository,
        target=target,
        manifest=manifest,
        planner=planner,
        effective=effective,
        test_command=test_command,
        test_tools=tools,
        tree_bytes=tree_bytes,
        probes=probes,
        notes=(
            *(manifest.notes if manifest is not None else ()),
            *features,
            *cost_notes(plan, effective.settings),
            *await dirty_note(repository),
        ),
    )


def agents_of_blocks(
    request: BuildRequest, repository: Repository, environ: Mapping[str, str], *, plan: Plan | None = None
) -> frozenset[str]:
    """The agents that request, settings and plan name and that no profile and no type is called like.

    The plan is the request's own unless one is given; one that cannot be read names nobody, whoever needs it will say
    why it cannot.
    """
    backend, profiles = stated_agents(repository.path, environ=environ)
    known = frozenset((*profiles, *PROFILE_TYPES))
    if plan is None:
        with suppress(UserError):
            manifest = read_plan(request, repository, agents=known)
            plan = manifest.plan if manifest is not None else None
    tasks = () if plan is None else plan.tasks
    return frozenset({request.agent or backend, *(task.agent for task in tasks if task.agent)}) - known


def load_effective(
    request: BuildRequest,
    repository: Repository,
    environ: Mapping[str, str],
    *,
    blocks: Mapping[str, AnyProfile] = NO_BLOCKS,
) -> Effective:
    """The settings a request runs with, as they are now; a profile of theirs goes before a block of its name.

    Raises:
        SettingsError: one of them has to be corrected.
    """
    _, own = stated_agents(repository.path, environ=environ)
    overrides = request.overrides() | {
        f"agents.{name}": profile.model_dump() for name, profile in blocks.items() if name not in own
    }
    origins = dict.fromkeys(overrides, "request")
    return load_settings(repository.path, environ=environ, overrides=overrides, override_origins=origins)


def read_plan(request: BuildRequest, repository: Repository, *, agents: Collection[str]) -> Manifest | None:
    """The request's plan, from its file (relative to the repository, unless the path exists as given) or inline.

    None for a request in words: the planner is to make one.
    """
    if request.prompt:
        return None
    if request.plan is not None:
        return parse_plan(
            request.plan.model_dump(mode="json", exclude_defaults=True), file="request.plan", agents=agents
        )
    given = Path(request.plan_file)
    inside = repository.path / given
    return load_manifest(inside if inside.is_file() else given, agents=agents)


async def check_plan(plan: Plan | None, settings: Settings, environ: Mapping[str, str]) -> tuple[Probe, ...]:
    """What is installed of the agents of a plan that can be carried out here.

    Raises:
        ManifestError: a task sets variables that no plan may decide.
        SettingsError: a task asks for an agent or a tier that there is not.
        AgentUnavailableError: one of them cannot be used.
    """
    if plan is not None:
        check_environments(plan)
    return await probe_agents(plan, settings, environ)


def check_environments(plan: Plan) -> None:
    """Refuse tasks that set variables no plan may decide, such as an agent's address or home.

    Raises:
        ManifestError: names every such variable and its task.
    """
    problems = [
        Problem(
            f"`env` may not set {', '.join(refused)}: they decide where an agent's key and commands go", task=spec.id
        )
        for spec in plan.tasks
        if (refused := refused_names(spec.env))
    ]
    if problems:
        raise ManifestError(tuple(problems))


def cost_notes(plan: Plan | None, settings: Settings) -> Iterator[str]:
    """What to say about agents that tell nobody what they cost."""
    for agent in plan_agents(plan, settings):
        if not tells_its_cost(settings, agent.profile, agent.backend):
            counted = money(settings.cost.unknown_call_usd)
            yield (
                f"what a call of {agent.profile} costs is not known, and counts as {counted} under the cap: "
                "`cost_usd` of a command, or [prices] of a model, says it"
            )


async def probe_agents(plan: Plan | None, settings: Settings, environ: Mapping[str, str]) -> tuple[Probe, ...]:
    """What is installed of the agents that may be called for a plan, each once.

    Raises:
        SettingsError: a task asks for an agent or a tier that there is not.
        AgentUnavailableError: one of them cannot be used; all problems are in the message.
    """
    probes = tuple(dict.fromkeys([await agent.backend.probe(environ) for agent in plan_agents(plan, settings)]))
    problems = [f"{probe.backend}: {problem}" for probe in probes for problem in probe.problems]
    if problems:
        raise AgentUnavailableError("\n".join(problems))
    return probes


async def check_tools(command: TestCommand, environ: Mapping[str, str]) -> str:
    """What the tests run on, as one line; a missing runner is found out here, before anything is spent.

    Raises:
        CannotRunError: the command or its interpreter cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="graftline-") as folder:
        return await check_test_command(command, folder=Path(folder), environ=environ)


def check_disk(tree_bytes: int, task_count: int, settings: Settings, environ: Mapping[str, str]) -> None:
    """Refuse a run whose worktrees would fill the disk: one per agent at a time, one to verify in, and retired ones."""
    folder = state_place(environ)
    retired = min(RETIRED_BYTES, tree_bytes * task_count)
    needed = tree_bytes * (settings.agent.max_concurrent + 1) + retired + SPARE_BYTES
    free = shutil.disk_usage(disk_of(folder)).free
    if free < needed:
        raise CannotRunError(
            f"{folder}: {free // 2**20} MB free, but {settings.agent.max_concurrent} agents need about "
            f"{needed // 2**20} MB for their worktrees; free some, or set GRAFTLINE_STATE_DIR to a larger disk"
        )


def disk_of(folder: Path) -> Path:
    """A folder that exists on the disk that another one is on, or would be."""
    return next(place for place in (folder, *folder.parents) if place.exists())


async def dirty_note(repository: Repository) -> tuple[str, ...]:
    """What to say about uncommitted changes: agents do not see them."""
    changes = await anyio.to_thread.run_sync(uncommitted_changes, repository)
    if not changes:
        return ()
    shown = ", ".join(changes[:5]) + (" …" if len(changes) > 5 else "")
    return (f"{len(changes)} uncommitted change(s) that agents will not see: {shown}",)
