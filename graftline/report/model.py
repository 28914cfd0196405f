"""The report of a run: what became of every task, what was tested, where the result is and what it cost.

These models are the JSON that `--report FILE.json` and `--json` give to other programs; `graftline/report.schema.json`
is their published form. Text in it may come from agents and tests and is kept as it is: whoever shows it escapes it.
"""

import json
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from graftline.agents.outcome import OutcomeKind
from graftline.agents.tiers import Tier
from graftline.approvals import What
from graftline.caps import Scope
from graftline.errors import ExitCode
from graftline.planning.interval import Interval


class RunState(StrEnum):
    """How a run ended.

    `landed`: all tasks are done and the target holds the tested commit. `on-branch`: the same, left on a branch as
    asked. `held`: the same, but the target could not be moved, so the result waits on a branch. `partial`: only a part
    of the tasks is in the result, landed or on a branch. `nothing-to-land`: all tasks are done and none had to change
    anything. `tests-failed`: the merged work is red and was not healed. `failed`: there is no result, or the run was
    stopped for another reason than those below. `budget-reached`: a cap left something undone. `cancelled`: a person or
    a signal stopped it. `crashed`: a defect of graftline stopped it. `running`: it has not ended. `suspended`: neither
    has this one; it waits for a person, without a process.
    """

    LANDED = "landed"
    ON_BRANCH = "on-branch"
    HELD = "held"
    PARTIAL = "partial"
    NOTHING_TO_LAND = "nothing-to-land"
    TESTS_FAILED = "tests-failed"
    FAILED = "failed"
    BUDGET_REACHED = "budget-reached"
    CANCELLED = "cancelled"
    CRASHED = "crashed"
    RUNNING = "running"
    SUSPENDED = "suspended"


# Success is everything that was asked for: a result that was to land and waits is not. A run that ends while its state
# says that it has not is a defect.
EXIT_CODES: dict[RunState, ExitCode] = {
    RunState.LANDED: ExitCode.SUCCESS,
    RunState.ON_BRANCH: ExitCode.SUCCESS,
    RunState.HELD: ExitCode.WORK_FAILED,
    RunState.PARTIAL: ExitCode.WORK_FAILED,
    RunState.NOTHING_TO_LAND: ExitCode.SUCCESS,
    RunState.TESTS_FAILED: ExitCode.WORK_FAILED,
    RunState.FAILED: ExitCode.WORK_FAILED,
    RunState.BUDGET_REACHED: ExitCode.WORK_FAILED,
    RunState.CANCELLED: ExitCode.WORK_FAILED,
    RunState.CRASHED: ExitCode.DEFECT,
    RunState.RUNNING: ExitCode.DEFECT,
    RunState.SUSPENDED: ExitCode.DEFECT,
}
UNENDED = frozenset({RunState.RUNNING, RunState.SUSPENDED})


class TaskState(StrEnum):
    """What became of a task.

    `succeeded`: its work is in the result. `no-change`: it ended well and nothing had to change. `failed`: no attempt
    succeeded. `conflicted`: its work collides with an earlier task's and was left out. `skipped`: a task it depends on
    did not make it. `not-run`: the run ended before its turn, or a cap left nothing for it. `cancelled`: it was
    stopped, by its money limit for example, or a patch took it out of the plan. `running`: it has not ended.
    """

    SUCCEEDED = "succeeded"
    NO_CHANGE = "no-change"
    FAILED = "failed"
    CONFLICTED = "conflicted"
    SKIPPED = "skipped"
    NOT_RUN = "not-run"
    CANCELLED = "cancelled"
    RUNNING = "running"


class HealOutcome(StrEnum):
    """What one heal call brought.

    `healed`: the tests it was given are green. `not-healed`: its work is in, and they are still red. `dropped`: it made
    more tests fail and was left out. `conflicted`: it collided with another heal and was left out. `failed`: the agent
    did not deliver.
    """

    HEALED = "healed"
    NOT_HEALED = "not-healed"
    DROPPED = "dropped"
    CONFLICTED = "conflicted"
    FAILED = "failed"


def _unicode(value: object) -> object:
    """File names and output that are not Unicode must not cost the report."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_unicode)]
Seconds = Annotated[float, Field(ge=0)]
Cost = Annotated[float, Field(ge=0)]


class Part(BaseModel):
    """A part of the report."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class AttemptReport(Part):
    """One agent call for a task."""

    number: int = Field(ge=1)
    profile: Text = Field(description="Agent profile it was given to, or its backend type where none was named")
    tier: Tier | None = Field(description="The profile's tier")
    backend: Text
    version: Text = Field(description="Version of the agent CLI; empty when it did not say")
    model: Text = Field(description="Model the agent used; empty when it did not say")
    outcome: OutcomeKind
    detail: Text = Field(description="What the agent or its output said about the end")
    cost_usd: Cost | None = Field(description="null: unknown, which is not 0")
    seconds: Seconds


class TaskReport(Part):
    """What became of one task, in plan order."""

    id: Text
    title: Text
    state: TaskState
    reason: Text = Field(description="Why the state is what it is; empty when it needs no reason")
    commit: str | None = Field(description="The task's own commit, before integration")
    attempts: tuple[AttemptReport, ...]


class TestFailure(Part):
    """One failing test."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    test: Text
    message: Text


class TestReport(Part):
    """The last verification of the run."""

    __test__ = False

    command: tuple[Text, ...]
    exit_code: int
    passed: int | None = Field(description="null: the command does not say")
    failed: int | None = Field(description="null: the command does not say")
    failures: tuple[TestFailure, ...]
    base_failures: tuple[Text, ...] = Field(description="Tests that already failed on the base")


class HealReport(Part):
    """One heal call."""

    round: int = Field(ge=1)
    task: Text
    tests: tuple[Text, ...] = Field(description="The failing tests it was given")
    outcome: HealOutcome
    commit: str | None
    cost_usd: Cost | None = Field(description="null: unknown, which is not 0")
    seconds: Seconds


class ConflictReport(Part):
    """A task that was left out because its work collides with that of earlier ones."""

    task: Text
    with_tasks: tuple[Text, ...] = Field(alias="with", description="The tasks it collides with")
    files: tuple[Text, ...]


class QuestionReport(Part):
    """A question of an agent that waits for a person's answer while the run goes on."""

    task: Text
    question: Text
    flow_run_id: str = Field(description="The Prefect flow run that is paused until it is resumed with the answer")


class ApprovalReport(Part):
    """A plan, or a patch of it, that waits until a person approves or rejects it."""

    what: What
    number: int = Field(ge=1, description="Which proposal or patch of the run it is")
    description: Text = Field(description="What the person is shown, in Markdown")


class SalvageReport(Part):
    """Work that did not make it into the result and is kept on a ref of the hub."""

    ref: Text
    commit: str
    task: Text


class CapReport(Part):
    """A cap that left something undone."""

    cap: Scope
    task: Text | None = Field(description="The task whose call it was; null for a planner's")
    limit_usd: Cost
    counted_usd: Cost = Field(description="What its calls counted together when this one asked")
    asked_usd: Cost = Field(description="What this call counts as, or was given as its limit")
    called: bool = Field(description="false: there was no room for the call; true: its agent reached its limit")


class Coverage(Part):
    """How many of some intervals held what came of them."""

    held: int = Field(ge=0)
    of: int = Field(ge=0)


class EstimateReport(Part):
    """What the run was expected to come to when its plan was settled, and whether it did.

    Only a run that came to its end by itself is held against its estimate: not one that was stopped, or that a cap cut.
    """

    confidence: float = Field(description="How often such intervals are expected to hold")
    basis: Text = Field(description="What the estimate went by")
    cost_usd: Interval | None = Field(description="Of all calls, planning included; null: unknown, which is not 0")
    cost_held: bool | None = Field(description="null: the cost is unknown, or the run did not come to its end")
    seconds: Interval
    seconds_taken: Seconds = Field(description="From the settled plan on; waiting for a person does not count")
    seconds_held: bool | None = Field(description="null: the run did not come to its end")
    task_costs: Coverage = Field(description="Of this run's tasks")
    task_seconds: Coverage = Field(description="Of this run's tasks")
    run_costs: Coverage = Field(description="Of this repository's runs, this one among them")
    run_seconds: Coverage = Field(description="Of this repository's runs, this one among them")


class Report(Part):
    """Everything a person or a program wants to know about a run."""

    run: Text = Field(description="The run's name")
    flow_run_id: str = Field(description="The run's id, which is its Prefect flow run's")
    state: RunState
    reason: Text = Field(description="A sentence a person can act on")
    target: Text = Field(description="The branch the result is for")
    base_commit: str = Field(description="The commit the run started from")
    landed_commit: str | None = Field(description="The commit the target was moved to; null when it was not moved")
    branch: Text | None = Field(description="The branch the result waits on; null when there is none")
    tested_tree: str | None = Field(description="The tree whose tests were run last; null when none were")
    cost_usd: Cost | None = Field(description="Cost of all calls; null when any is unknown")
    cost_known_usd: Cost = Field(description="Sum of the costs that are known")
    unknown_calls: int = Field(ge=0, description="Calls whose cost is not known")
    cost_unknown_usd: Cost = Field(description="What those calls count as under the caps")
    caps_reached: tuple[CapReport, ...] = Field(description="The caps that left something undone")
    seconds: Seconds
    estimate: EstimateReport | None = Field(description="null: none was made")
    tasks: tuple[TaskReport, ...]
    tests: TestReport | None = Field(description="null: nothing was tested")
    heals: tuple[HealReport, ...]
    conflicts: tuple[ConflictReport, ...]
    questions: tuple[QuestionReport, ...] = Field(description="What waits for a person; empty once the run has ended")
    approval: ApprovalReport | None = Field(description="What waits for a person's approval; null when nothing does")
    salvage: tuple[SalvageReport, ...]
    notes: tuple[Text, ...] = Field(description="What else a person should know")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.cost_usd is None) != (self.unknown_calls > 0):
            raise ValueError("cost_usd must be null exactly when a call's cost is unknown")
        if self.cost_usd is not None and (self.cost_usd != self.cost_known_usd or self.cost_unknown_usd):
            raise ValueError("cost_usd must be cost_known_usd, and nothing else count, when no call's cost is unknown")
        if self.state is RunState.LANDED and self.landed_commit is None:
            raise ValueError("a landed run must name the commit it landed")
        if self.state in (RunState.ON_BRANCH, RunState.HELD) and self.branch is None:
            raise ValueError(f"a run whose state is {self.state} must name the branch its result waits on")
        return self


def is_resumable(state: RunState) -> bool:
    """Whether something of the request is left that `graftline resume` could do."""
    return state not in UNENDED and EXIT_CODES[state] is not ExitCode.SUCCESS


def exit_code(report: Report) -> ExitCode:
    """What the process ends with after this run; when a signal ended it, the signal's own code goes before this."""
    return EXIT_CODES[report.state]


def to_json(report: Report) -> str:
    """The report as indented JSON."""
    return report.model_dump_json(indent=2) + "\n"


def schema_text() -> str:
    """The JSON schema of what `to_json` gives, as published in `graftline/report.schema.json`."""
    return json.dumps(Report.model_json_schema(mode="serialization"), indent=2) + "\n"
