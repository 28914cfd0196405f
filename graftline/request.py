"""The one parameter of the `build` flow: what to run, on which repository, within which limits.

It is validated three times: by the Prefect server against its schema, by Prefect when the flow starts, and here by
whoever acts on it, because a caller of the REST API can switch the first two off.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from graftline.plan import Plan


class RequestLimits(BaseModel):
    """Limits of one run; what is left out comes from graftline.toml and the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_concurrent: int | None = Field(default=None, ge=1, le=256, description="Agents at a time")
    max_cost_usd: float | None = Field(default=None, ge=0, description="Cap of the run in US dollars")
    task_timeout_seconds: float | None = Field(default=None, gt=0, description="Wall clock of one attempt")
    run_timeout_seconds: float | None = Field(default=None, gt=0, description="Wall clock of the run")


class BuildRequest(BaseModel):
    """What to build: a plan file in the repository, or the plan itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str = Field(
        default=".", min_length=1, description="Path of the git repository, on the machine that runs"
    )
    plan_file: str = Field(default="", description="Plan file (.md, .yaml, .json), relative to the repository")
    plan: Plan | None = Field(default=None, description="The plan itself, instead of a file")
    target: str = Field(default="", description="Branch to land on; the one checked out when empty")
    agent: str = Field(default="", description="Agent profile, block or backend type; [agent] backend when empty")
    land: Literal["auto", "branch"] | None = Field(
        default=None, description="auto moves the target, branch leaves the result on a branch"
    )
    limits: RequestLimits = Field(default=RequestLimits(), description="Limits of this run")

    @model_validator(mode="after")
    def _names_one_plan(self) -> Self:
        if bool(self.plan_file) == (self.plan is not None):
            msg = "give either plan_file or plan, and not both"
            raise ValueError(msg)
        return self

    def overrides(self) -> dict[str, object]:
        """The settings this request decides, by dotted key."""
        decided: dict[str, object] = {
            "agent.backend": self.agent or None,
            "agent.max_concurrent": self.limits.max_concurrent,
            "cost.max_usd": self.limits.max_cost_usd,
            "timeouts.task_seconds": self.limits.task_timeout_seconds,
            "timeouts.run_seconds": self.limits.run_timeout_seconds,
            "git.land": self.land,
        }
        return {key: value for key, value in decided.items() if value is not None}
