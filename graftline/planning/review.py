"""The critic's answer: what is wrong with a plan, against a list, and nothing else."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from graftline.text import plain_line

MAX_FINDINGS = 30
_FINDING_CHARS = 1_000

Check = Literal["missing-dependency", "hidden-coupling", "untested-criterion", "task-too-large", "not-parallel"]


class Finding(BaseModel):
    """One thing that is wrong with the plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: Check = Field(description="The point of the list that it comes under")
    tasks: tuple[Annotated[str, StringConstraints(max_length=64)], ...] = Field(
        max_length=50, description="Ids of the tasks concerned"
    )
    problem: str = Field(description="What exactly is wrong, and what will come of it")
    remedy: str = Field(description="The smallest change to the plan that puts it right")

    def __str__(self) -> str:
        """The finding as one line, whatever a model has written into it."""
        line = f"{self.check} ({', '.join(self.tasks) or 'the plan'}): {self.problem} {self.remedy}"
        return plain_line(line, _FINDING_CHARS)


class Review(BaseModel):
    """What a reviewer of the plan found; nothing when the plan is good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    findings: tuple[Finding, ...] = Field(max_length=MAX_FINDINGS, description="What is wrong, the worst first")


def read_review(data: Mapping[str, JsonValue] | None) -> Review | None:
    """A review from what a model answered; None when it is none, which changes nothing about the plan."""
    try:
        return Review.model_validate(data)
    except (ValidationError, RecursionError):
        return None
