"""Proposals: the plans a run was offered before it had one, each kept in the run's folder under its number."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from graftline.plan import Plan
from graftline.planning.kept import keep, read_kept
from graftline.store import RunFolder


class Proposed(BaseModel):
    """A plan that a run may go by; `by` says whether the planner made it or the request gave it.

    `templates` is the version of the words that the planner was asked in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    by: Literal["planner", "request"]
    plan: Plan
    notes: tuple[str, ...] = ()
    templates: str = ""


def read_proposal(folder: RunFolder, number: int) -> Proposed | None:
    """The proposal of that number; None when the run has not come so far."""
    return read_kept(_path(folder, number), Proposed)


def write_proposal(folder: RunFolder, proposed: Proposed) -> None:
    """Keep a proposal, whole or not at all."""
    keep(_path(folder, proposed.number), proposed)


def _path(folder: RunFolder, number: int) -> Path:
    return folder.planning / f"proposal-{number}.json"
