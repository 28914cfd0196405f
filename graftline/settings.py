"""Effective settings: graftline.toml, `GRAFTLINE_*`, then flags and flow parameters, in rising order.

The models say what can be set; `load_settings` reads the layers (`graftline.settings_sources`) and puts every problem
into one error (`graftline.settings_problems`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from graftline.agents.profiles import AnyProfile
from graftline.agents.tiers import TIERS, Tier
from graftline.errors import SettingsError
from graftline.prices import ModelPattern, ModelPrice
from graftline.settings_problems import describe_contradictions, describe_errors
from graftline.settings_sources import leaves, merge, origin_of, read_environment, read_file, read_overrides


class Section(BaseModel):
    """A table of graftline.toml; an unknown key in it is an error."""

    # No infinity or NaN: neither survives the JSON in which a run pins its settings, and NaN passes for any limit.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AgentSettings(Section):
    """[agent]: which agent runs, and how many at a time."""

    backend: str = Field(default="claude-code", description="Profile name or backend type")
    binary: str = Field(default="", description="Binary of the CLI, when `backend` names a type")
    model: str = Field(default="", description="Model, when `backend` names a type")
    max_concurrent: int = Field(default=4, ge=1, description="Agents at a time within a run")
    stagger_seconds: float = Field(default=0, ge=0, description="Least time between two agent starts")


class ModelSettings(Section):
    """[models]: which tier does which work; a tier stands for the profile that has it."""

    labels: dict[str, Tier] = Field(
        default_factory=dict, description="Tiers of tasks with these labels; of several the deepest"
    )
    escalation: list[Tier] = Field(
        default_factory=list, description="Tiers that follow one another when attempts of a task fail"
    )

    @field_validator("escalation")
    @classmethod
    def _rises(cls, escalation: list[Tier]) -> list[Tier]:
        if escalation != [tier for tier in TIERS if tier in escalation]:
            raise PydanticCustomError("escalation", "{message}", {"message": f"must rise: {', '.join(TIERS)}"})
        return escalation


class PlannerSettings(Section):
    """[planner]: who turns a request into a plan, and what a person gets to decide of it."""

    provider: Literal["auto", "anthropic", "openai", "agent"] = Field(
        default="auto", description="Whose model plans: an API with a key, or an agent CLI in read-only mode"
    )
    model: str = Field(default="", description="Model that plans; empty: the provider's default")
    agent: str = Field(
        default="", description="Profile or type that `agent` asks; empty: the first installed of those that can"
    )
    base_url: str = Field(default="", description="Address of the API; empty: the provider's own variable or address")
    max_replan_attempts: int = Field(
        default=3, ge=0, description="How often a plan with problems goes back to the planner"
    )
    critic: bool = Field(default=False, description="Have a second call look for problems, and the plan revised once")
    context_tokens: int = Field(default=16_000, ge=1_000, description="What the planner is shown of the repository")
    output_tokens: int = Field(default=32_000, ge=1_000, description="The most that one answer of the planner may take")
    approve: bool = Field(default=False, description="A person approves the plan before an agent starts")
    patch: bool = Field(
        default=True, description="Ask for a plan patch, once, when a task of a planned run has failed for good"
    )
    patch_usd: float = Field(
        default=1.0, ge=0, description="Expected cost up to which a plan patch needs nobody's approval"
    )


class LimitSettings(Section):
    """[limits]: what holds across all runs of one Prefect server."""

    agents: int = Field(default=0, ge=0, description="Agents at a time over all runs; 0 = no such limit")
    groups: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description="Tasks of a concurrency_group at a time over all runs; not listed: one per run",
    )


class TimeoutSettings(Section):
    """[timeouts], in seconds."""

    task_seconds: float = Field(default=1800, gt=0, description="Wall clock of one attempt")
    run_seconds: float = Field(default=14400, gt=0, description="Wall clock of a run, waiting for others apart")
    output_stall_seconds: float = Field(default=600, gt=0, description="Silence after which an agent is ended")
    commit_stall_seconds: float = Field(
        default=900, gt=0, description="Time without a commit or a changed file after which an agent is ended"
    )
    answer_seconds: float = Field(
        default=86400, gt=0, description="How long a question of an agent waits for an answer"
    )
    approval_seconds: float = Field(default=604_800, gt=0, description="How long a plan waits for its approval")


class ProviderSettings(Section):
    """[provider], in seconds: how long to wait for one that is overloaded, limits the rate or cannot be reached."""

    first_wait_seconds: float = Field(
        default=5, gt=0, description="First wait, unless the provider names a time; doubled each time"
    )
    longest_wait_seconds: float = Field(default=120, gt=0, description="Longest wait that the provider did not name")
    give_up_seconds: float = Field(default=21600, gt=0, description="Wait of one task in all after which it fails")


class RetrySettings(Section):
    """[retries]: extra attempts after a failed one."""

    max_per_task: int = Field(default=1, ge=0, description="Extra attempts of one task; 0 = one call")
    max_per_run: int = Field(default=5, ge=0, description="Extra attempts of all tasks together")


class HealSettings(Section):
    """[heal]: how often red tests go back to an agent."""

    max_rounds: int = Field(default=3, ge=0, description="Rounds of heal and verify")
    max_per_task: int = Field(default=2, ge=0, description="Heal calls for one task")


class CostSettings(Section):
    """[cost], in US dollars."""

    max_usd: float = Field(default=5.0, ge=0, description="Cap of a run; 0 = only what is free")
    task_usd: float | None = Field(
        default=None, ge=0, description="Cap of one task, its heal calls included; left out: none"
    )
    day_usd: float | None = Field(
        default=None, ge=0, description="Cap of all runs of this machine on a local calendar day; left out: none"
    )
    deployment_usd: float | None = Field(
        default=None, ge=0, description="Cap of all runs of a Prefect deployment on this machine; left out: none"
    )
    unknown_call_usd: float = Field(
        default=0.5,
        gt=0,
        description="Reserved for an agent that keeps to no limit; counts while its cost is unknown",
    )
    warn_usd: float = Field(default=3.0, ge=0, description="Say so when a run has spent this much")


class GitSettings(Section):
    """[git]: branches and landing."""

    branch_prefix: str = Field(default="graftline", description="Result branches are PREFIX/RUN")
    land: Literal["auto", "branch"] = Field(default="auto", description="Move the target, or leave a branch")
    partial: bool = Field(default=False, description="Land what is green although a task did not make it")
    history: Literal["merge", "linear"] = Field(default="merge", description="Shape of the landed history")
    writes: Literal["report", "enforce"] = Field(
        default="report", description="What to do with changes outside a task's `writes`"
    )


class WorktreeSettings(Section):
    """[worktree]: what an agent needs to work."""

    setup: list[str] = Field(default_factory=list, description="Commands run in each worktree before the agent")
    include_file: str = Field(
        default=".worktreeinclude", description="File that lists ignored files to copy into worktrees"
    )


class TestSettings(Section):
    """[test]: how the merged tree is verified."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    runner: Literal["auto", "pytest", "command", "none"] = Field(
        default="auto", description="Test runner; none = land untested"
    )
    command: list[str] = Field(default_factory=list, description="The argv whose exit code decides")
    python: str = Field(default="", description="The project's interpreter; found when empty")
    pass_env: list[str] = Field(
        default_factory=list, description="Names of variables the tests get from graftline's own environment"
    )
    timeout_seconds: float = Field(default=1800, gt=0, description="Wall clock of one test run, in seconds")


class LoggingSettings(Section):
    """[logging]."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level shown")


class Settings(Section):
    """The effective settings of one run."""

    agent: AgentSettings = AgentSettings()
    agents: dict[str, AnyProfile] = Field(default_factory=dict, description="Named agent profiles")
    models: ModelSettings = ModelSettings()
    planner: PlannerSettings = PlannerSettings()
    limits: LimitSettings = LimitSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    provider: ProviderSettings = ProviderSettings()
    retries: RetrySettings = RetrySettings()
    heal: HealSettings = HealSettings()
    cost: CostSettings = CostSettings()
    prices: dict[ModelPattern, ModelPrice] = Field(
        default_factory=dict, description="Prices of models, for agents that tell tokens and no cost"
    )
    git: GitSettings = GitSettings()
    worktree: WorktreeSettings = WorktreeSettings()
    test: TestSettings = TestSettings()
    logging: LoggingSettings = LoggingSettings()


@dataclass(frozen=True)
class Effective:
    """Settings, and for every dotted key the place its value comes from.

    A place is "default", "graftline.toml", the name of a variable, or what the caller called its override.
    """

    settings: Settings
    origins: Mapping[str, str]


def load_settings(
    folder: Path | None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] = MappingProxyType({}),
    override_origins: Mapping[str, str] = MappingProxyType({}),
) -> Effective:
    """Read the settings that hold for the repository at `folder`; None reads no file.

    `overrides` are flags and flow parameters by dotted key ("cost.max_usd"), and `override_origins` is what to call
    each of them ("--max-cost"). Raises one SettingsError that lists every problem of every layer.
    """
    file, file_problems = read_file(folder)
    variables, variable_problems = read_environment(Settings, environ)
    layers = [*file, *variables, *read_overrides(overrides, override_origins)]
    merged = merge(layers)
    problems = [*file_problems, *variable_problems]
    settings = None
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        # Only type, place and sentence are taken over: the input may be a secret.
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems += describe_errors(details, model=Settings, merged=merged, layers=layers)
    if not file_problems:  # without the file's profiles every backend would look unknown
        problems += describe_contradictions(default_backend=AgentSettings().backend, merged=merged, layers=layers)
    if settings is None or problems:
        head = "1 problem in the settings:" if len(problems) == 1 else f"{len(problems)} problems in the settings:"
        raise SettingsError("\n".join([head, *(f"  {problem}" for problem in problems)]))
    return Effective(
        settings=settings,
        origins={".".join(key): origin_of(key, layers) for key in leaves(settings.model_dump())},
    )


def stated_agents(folder: Path | None, *, environ: Mapping[str, str]) -> tuple[str, frozenset[str]]:
    """The backend that file and environment name, and the names of their profiles, as written and not validated.

    The backend may be a profile that is kept elsewhere, without which the settings do not hold.
    """
    file, _ = read_file(folder)
    variables, _ = read_environment(Settings, environ)
    merged = merge([*file, *variables])
    agent, agents = merged.get("agent"), merged.get("agents")
    backend = agent.get("backend") if isinstance(agent, Mapping) else None
    names = frozenset(map(str, agents)) if isinstance(agents, Mapping) else frozenset[str]()
    return backend if isinstance(backend, str) else AgentSettings().backend, names


def public_dump(settings: Settings) -> dict[str, JsonValue]:
    """Plain JSON data of the settings without any secret; `Settings.model_validate` reads it back."""
    return _public_fields(settings)


def _public_fields(model: BaseModel) -> dict[str, JsonValue]:
    return {name: _public_value(value) for name, value in model if not isinstance(value, SecretStr)}


def _public_value(value: object) -> JsonValue:
    match value:
        case BaseModel():
            return _public_fields(value)
        case Mapping():
            return {str(key): _public_value(each) for key, each in value.items() if not isinstance(each, SecretStr)}
        case list() | tuple():
            return [_public_value(each) for each in value if not isinstance(each, SecretStr)]
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"settings hold a {type(value).__name__}, which has no public form")
