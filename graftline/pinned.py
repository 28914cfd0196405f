"""What a run was started with: `run.json` in its folder, which every entry into the run reads.

Base, plan and settings (without secrets) are fixed before anything is spent. Whoever enters the run again, after a
crash or in another process, goes on with them, whatever the plan file and graftline.toml say by then.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from graftline.errors import UserError
from graftline.plan import Plan, TaskSpec
from graftline.private_files import write_file
from graftline.request import BuildRequest
from graftline.store import RunFolder


class PinnedRun(BaseModel):
    """`run.json`: what every entry into the run agrees on.

    `given` is the plan as the request had it, None for a request in words. `plan` is the one the run goes by, None
    until it is settled: the planner has made it, and a person has approved it where that is asked for. `former` are the
    tasks that patches took out of it: what was done of them is still there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str
    name: str
    request: BuildRequest
    repository: str
    target: str
    base: str
    created: datetime
    given: Plan | None = None
    plan: Plan | None
    former: tuple[TaskSpec, ...] = ()
    settings: dict[str, JsonValue]
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[TaskSpec, ...]:
        """Every task the run has or had: those of the plan, and then the former ones; none while it is not settled."""
        return (*(self.plan.tasks if self.plan is not None else ()), *self.former)

    def task(self, task_id: str) -> TaskSpec:
        """The task of that id, also a former one; KeyError when there never was one."""
        return {spec.id: spec for spec in self.tasks}[task_id]

    def going_by(self, plan: Plan) -> "PinnedRun":
        """The same with another plan; the tasks that are not in it any more are former ones."""
        gone = [spec for spec in self.tasks if spec.id not in {task.id for task in plan.tasks}]
        return self.model_copy(update={"plan": plan, "former": tuple(gone)})


def read_pinned(folder: RunFolder) -> PinnedRun:
    """What a run pinned at its start.

    Raises:
        UserError: the run never came so far, or the file is damaged or of a newer format.
    """
    try:
        return PinnedRun.model_validate_json(folder.pinned.read_text())
    except FileNotFoundError as error:
        raise UserError(
            f"run {folder.id} ended before it had begun: nothing was spent; `graftline resume {folder.id}` starts it"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{folder.pinned}: cannot be read as the start of a run: {error}") from error


def write_pinned(folder: RunFolder, pinned: PinnedRun) -> None:
    """Pin a run, whole or not at all."""
    write_file(folder.pinned, pinned.model_dump_json(indent=2).encode())
