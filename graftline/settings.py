"""Effective settings: graftline.toml, `GRAFTLINE_*`, then flags and flow parameters, in rising order."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from graftline.agents.profiles import AnyProfile


class Section(BaseModel):
    """A table of graftline.toml; an unknown key in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AgentSettings(Section):
    """[agent]: which agent runs, and how many at a time."""

    backend: str = Field(default="claude-code", description="Profile name or backend type")
    binary: str = Field(default="", description="Binary of the CLI, when `backend` names a type")
    model: str = Field(default="", description="Model, when `backend` names a type")
    max_concurrent: int = Field(default=4, ge=1, description="Agents at a time within a run")
    stagger_seconds: float = Field(default=0, ge=0, description="Least time between two agent starts")


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
    run_seconds: float = Field(default=14400, gt=0, description="Wall clock of a run")
    output_stall_seconds: float = Field(default=600, gt=0, description="Silence after which an agent is ended")


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

    max_usd: float = Field(default=5.0, ge=0, description="Cap of a run")
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
    timeout_seconds: float = Field(default=1800, gt=0, description="Wall clock of one test run, in seconds")


class LoggingSettings(Section):
    """[logging]."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level shown")


class Settings(Section):
    """The effective settings of one run."""

    agent: AgentSettings = AgentSettings()
    agents: dict[str, AnyProfile] = Field(default_factory=dict, description="Named agent profiles")
    limits: LimitSettings = LimitSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    retries: RetrySettings = RetrySettings()
    heal: HealSettings = HealSettings()
    cost: CostSettings = CostSettings()
    git: GitSettings = GitSettings()
    worktree: WorktreeSettings = WorktreeSettings()
    test: TestSettings = TestSettings()
    logging: LoggingSettings = LoggingSettings()
