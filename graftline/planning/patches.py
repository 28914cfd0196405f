"""The patches a run's plan was offered, each kept in the run's folder under its number, as far as each has come."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from graftline.journal import Entry, EventKind
from graftline.patch import Patched, PlanPatch
from graftline.plan import Plan
from graftline.planning.kept import keep, read_kept
from graftline.planning.setback import Setback
from graftline.store import RunFolder


class MadePatch(BaseModel):
    """What the planner made: a patch, and the plan it leads to, as it is or as a person edited it.

    `removed` says of each task that is not in that plan any more why. `expected_usd` is what the tasks that it brings
    are expected to cost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    patch: PlanPatch
    after: Plan
    removed: dict[str, str]
    expected_usd: float
    notes: tuple[str, ...] = ()

    def leading_to(self, patched: Patched) -> "MadePatch":
        """The same with another plan to lead to."""
        return self.model_copy(update={"after": patched.plan, "removed": dict(patched.removed)})


class RecordedPatch(BaseModel):
    """A patch that a failed task asked for; `before` is the plan it is for.

    `made` is None until the planner has made one. `why_not` says why nothing came of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    setback: Setback
    before: Plan
    made: MadePatch | None = None
    why_not: str = ""

    @property
    def brought(self) -> frozenset[str]:
        """The tasks that are new with it."""
        known = {task.id for task in self.before.tasks}
        return frozenset(task.id for task in (self.made.after.tasks if self.made else ())) - known


def read_patches(folder: RunFolder) -> tuple[RecordedPatch, ...]:
    """Every patch of a run, in the order they were asked for."""
    recorded: list[RecordedPatch] = []
    while (one := read_patch(folder, len(recorded) + 1)) is not None:
        recorded.append(one)
    return tuple(recorded)


def read_patch(folder: RunFolder, number: int) -> RecordedPatch | None:
    """The patch of that number; None when none was asked for yet."""
    return read_kept(_path(folder, number), RecordedPatch)


def write_patch(folder: RunFolder, recorded: RecordedPatch) -> None:
    """Keep a patch as far as it has come, whole or not at all."""
    keep(_path(folder, recorded.number), recorded)


def open_patch(folder: RunFolder, entries: Sequence[Entry]) -> RecordedPatch | None:
    """The patch that a process of this run was at when it ended, of which nothing has come yet."""
    done = {entry.data["number"] for entry in entries if entry.event is EventKind.PLAN_PATCHED}
    return next((one for one in read_patches(folder) if not one.why_not and one.number not in done), None)


def _path(folder: RunFolder, number: int) -> Path:
    return folder.planning / f"patch-{number}.json"
