"""The plan: a validated DAG of coding tasks, and the questions one asks of it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

TaskId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class TaskSpec(BaseModel):
    """One node of the plan: what an agent is asked to do, and within which limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: TaskId = Field(description="Unique name of the task; used in refs, folders and reports")
    prompt: str = Field(min_length=1, description="What the agent is asked to do; reaches it verbatim")
    title: str = Field(default="", description="One line for people; the id when left out")
    depends_on: tuple[TaskId, ...] = Field(default=(), description="Tasks whose merged work this one starts from")
    writes: tuple[str, ...] = Field(default=(), description="Paths or globs this task changes; empty = unknown")
    read_only: bool = Field(default=False, description="The task reports and must change nothing")
    agent: str | None = Field(default=None, description="Agent profile or backend type; the run's when left out")
    tests: tuple[str, ...] = Field(default=(), description="Tests (paths or ids) that must be green for this task")
    acceptance: dict[str, str] = Field(default_factory=dict, description="Acceptance test files: path to content")
    priority: int = Field(default=0, description="Higher goes first among ready tasks and in integration order")
    timeout_seconds: float | None = Field(default=None, gt=0, description="Wall clock of one attempt, in seconds")
    max_retries: int | None = Field(default=None, ge=0, description="Extra attempts after a failed one")
    concurrency_group: str | None = Field(default=None, description="Tasks of one group share its limit")
    env: dict[str, str] = Field(default_factory=dict, description="Extra environment of the agent; no secrets")


class Plan(BaseModel):
    """A validated plan; `tasks` is in plan order (the order of the file)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal["1"] = "1"
    title: str = Field(default="", description="One line; names the run and its branch")
    description: str = Field(default="", description="For people; agents get it as context")
    tasks: tuple[TaskSpec, ...] = Field(min_length=1, description="The tasks, in plan order")
