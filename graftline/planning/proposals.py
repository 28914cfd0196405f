"""Proposals: the plans a run was offered before it had one, each kept in the run's folder under its number."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from graftline.errors import GraftlineError
from graftline.plan import Plan
from graftline.private_files import make_folder, write_file
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
    path = _path(folder, number)
    try:
        return Proposed.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise GraftlineError(f"{path}: cannot be read as a proposal: {error}") from error


def write_proposal(folder: RunFolder, proposed: Proposed) -> None:
    """Keep a proposal, whole or not at all."""
    make_folder(folder.planning)
    write_file(_path(folder, proposed.number), proposed.model_dump_json(indent=2).encode())


def _path(folder: RunFolder, number: int) -> Path:
    return folder.planning / f"proposal-{number}.json"
