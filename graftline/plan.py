"""The plan: a validated DAG of coding tasks, and the questions one asks of it."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from graftline.agents.tiers import Tier
from graftline.dependencies import Fault, Outline, find_faults
from graftline.errors import ManifestError, Problem
from graftline.paths import clean_file_path, clean_pattern, matches, may_overlap

# Error types of the rules below, whose messages are already written for people.
RULE: Final = "plan_rule"
GRAPH_RULE: Final = "plan_graph"
SURROGATE: Final = "half of a surrogate pair, which cannot be written as UTF-8"


def _rule(check: Callable[[str], str]) -> AfterValidator:
    def apply(text: str) -> str:
        try:
            return check(text)
        except ValueError as error:
            raise PydanticCustomError(RULE, "{message}", {"message": str(error)}) from None

    return AfterValidator(apply)


def _text(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(SURROGATE)
    return text


def _prompt(text: str) -> str:
    if not text.strip():
        raise ValueError("there is nothing in it")
    return _text(text)


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError("control characters or line breaks; this is one line for people")
    return text


def _group(text: str) -> str:
    # Prefect refuses these in the name of a limit.
    if any(character in "/%&<>" for character in text):
        raise ValueError("a group's name holds none of / % & < >")
    return _one_line(text)


def _label(text: str) -> str:
    if not text.isprintable() or any(map(str.isspace, text)):
        raise ValueError("a label is one word")
    return text


def _test(text: str) -> str:
    if text.startswith("-"):
        raise ValueError(f"{text!r} would be read as an option of the test runner")
    return _one_line(text)


def _variable(text: str) -> str:
    if not text or "=" in text:
        raise ValueError(f"{text!r} cannot be the name of an environment variable")
    return _value(text)


def _value(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character cannot stand in an environment variable")
    return _text(text)


TaskId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Text = Annotated[str, _rule(_text)]
Prompt = Annotated[str, StringConstraints(min_length=1), _rule(_prompt)]
OneLine = Annotated[str, _rule(_one_line)]
Pattern = Annotated[str, _rule(clean_pattern)]
FilePath = Annotated[str, _rule(clean_file_path)]
TestName = Annotated[str, StringConstraints(min_length=1), _rule(_test)]

Label = Annotated[str, StringConstraints(min_length=1, max_length=64), _rule(_label)]

# Keys that a task has and that a plan file's `defaults` may give to all tasks.
Agent = Annotated[
    Annotated[str, StringConstraints(min_length=1), _rule(_one_line)] | None,
    Field(description="Agent profile or backend type; the run's when left out"),
]
TaskTier = Annotated[
    Tier | None, Field(description="Tier of the agent, where `agent` names none: fast, standard or deep")
]
Environment = Annotated[
    dict[Annotated[str, _rule(_variable)], Annotated[str, _rule(_value)]],
    Field(description="Extra environment of the agent; no secrets"),
]
MaxRetries = Annotated[int | None, Field(ge=0, strict=True, description="Extra attempts after a failed one")]
TimeoutSeconds = Annotated[
    float | None,
    Field(gt=0, strict=True, allow_inf_nan=False, description="Wall clock of one attempt, in seconds"),
]
ConcurrencyGroup = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=64), _rule(_group)] | None,
    Field(description="Tasks of one group share its limit"),
]
Priority = Annotated[
    int, Field(strict=True, description="Higher goes first among ready tasks and in integration order")
]


class Size(StrEnum):
    """How much work a task is expected to be; estimates go by it."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


class TaskSpec(BaseModel):
    """One node of the plan: what an agent is asked to do, and within which limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: TaskId = Field(description="Unique name of the task; used in refs, folders and reports")
    prompt: Prompt = Field(description="What the agent is asked to do; reaches it verbatim")
    title: OneLine = Field(default="", description="One line for people; the id when left out")
    depends_on: tuple[TaskId, ...] = Field(default=(), description="Tasks whose merged work this one starts from")
    after: tuple[TaskId, ...] = Field(
        default=(), description="Tasks this one waits for without building on their success, such as likely conflicts"
    )
    writes: tuple[Pattern, ...] = Field(
        default=(),
        description="Files, folders or globs this task changes, from the repository's root; empty = unknown",
    )
    read_only: bool = Field(default=False, strict=True, description="The task reports and must change nothing")
    agent: Agent = None
    tier: TaskTier = None
    labels: tuple[Label, ...] = Field(
        default=(), description="What kind of work it is; `[models] labels` says which tier does it"
    )
    size: Size | None = Field(default=None, description="How much work it is expected to be: small, medium or large")
    tests: tuple[TestName, ...] = Field(default=(), description="Tests (paths or ids) that must be green for this task")
    acceptance: dict[FilePath, Text] = Field(default_factory=dict, description="Acceptance test files: path to content")
    priority: Priority = 0
    timeout_seconds: TimeoutSeconds = None
    max_retries: MaxRetries = None
    concurrency_group: ConcurrencyGroup = None
    env: Environment = Field(default_factory=dict)

    def may_write(self, path: str) -> bool:
        """Whether a changed path is one the task declared; anything is when it declared nothing."""
        return not self.read_only and (not self.writes or any(matches(pattern, path) for pattern in self.writes))

    @model_validator(mode="after")
    def _check_read_only(self) -> Self:
        if self.read_only and self.writes:
            raise PydanticCustomError(RULE, "a read_only task has no `writes`; drop one of the two")
        return self


class Plan(BaseModel):
    """A validated plan; `tasks` is in plan order (the order of the file).

    No Plan exists whose ids clash, whose dependencies are unknown or cyclic, or that names a path outside the
    repository, wherever it comes from. `graph_of` answers questions about its shape.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal["1"] = Field(default="1", description="Version of this format")
    title: OneLine = Field(default="", description="One line; names the run and its branch")
    description: Text = Field(default="", description="For people")
    tasks: tuple[TaskSpec, ...] = Field(min_length=1, description="The tasks, in plan order")

    def task(self, task_id: str) -> TaskSpec:
        """The task of that id; KeyError when there is none."""
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise KeyError(task_id)

    def faults(self) -> tuple[Fault, ...]:
        """Every broken rule between the tasks; none in a plan that was validated."""
        return find_faults(
            [
                Outline(place, task.id, tuple(task.depends_on), tuple(task.after))
                for place, task in enumerate(self.tasks)
            ]
        )

    @model_validator(mode="after")
    def _check_faults(self) -> Self:
        if faults := self.faults():
            message = "; ".join(f"task {self.tasks[fault.index].id!r}: {fault.message}" for fault in faults)
            raise PydanticCustomError(GRAPH_RULE, "{message}", {"message": message})
        return self


@dataclass(frozen=True)
class Ordering:
    """`second` waits for `first` and does not depend on its success.

    `overlap` are the declared writes of the two that may mean the same file; None where the plan says `after`.
    """

    first: str
    second: str
    overlap: tuple[str, str] | None


@dataclass(frozen=True)
class Graph:
    """The shape of a plan: who waits for whom, and in which order work is integrated.

    `order` is topological (orderings count), then by priority, then plan order: a pure function of the plan.
    Every method answers in that order and raises KeyError for an unknown task.
    """

    plan: Plan
    orderings: tuple[Ordering, ...]
    order: tuple[str, ...]

    def dependencies(self, task_id: str) -> tuple[str, ...]:
        """The tasks it depends on directly; if one of them fails, it is skipped."""
        return self._in_order(self._needs[task_id])

    def waits_for(self, task_id: str) -> tuple[str, ...]:
        """Its dependencies, and the tasks that an ordering puts before it; without those that others of them imply."""
        return self._in_order(self._waits[task_id])

    def predecessors(self, task_id: str) -> tuple[str, ...]:
        """All tasks that have ended when it starts: those it waits for, directly or through others."""
        return self._in_order(self._before[task_id])

    def is_ordered(self, one: str, other: str) -> bool:
        """Whether one of two tasks ends before the other starts; otherwise both may be at work at the same time."""
        return one == other or one in self._before[other] or other in self._before[one]

    def ancestors(self, task_id: str) -> tuple[str, ...]:
        """All tasks it depends on, directly or through others."""
        return self._in_order(closure(task_id, self._needs))

    def dependents(self, task_id: str) -> tuple[str, ...]:
        """All tasks that depend on it, directly or through others."""
        return self._in_order(closure(task_id, self._needed_by))

    def _in_order(self, task_ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(task_ids, key=self._rank.__getitem__))

    @cached_property
    def _rank(self) -> dict[str, int]:
        return {task_id: rank for rank, task_id in enumerate(self.order)}

    @cached_property
    def _needs(self) -> dict[str, set[str]]:
        return {task.id: set(task.depends_on) for task in self.plan.tasks}

    @cached_property
    def _waits(self) -> dict[str, set[str]]:
        waits = {task_id: set(needed) for task_id, needed in self._needs.items()}
        for ordering in self.orderings:
            waits[ordering.second].add(ordering.first)
        return waits

    @cached_property
    def _before(self) -> dict[str, set[str]]:
        return {task_id: closure(task_id, self._waits) for task_id in self._waits}

    @cached_property
    def _needed_by(self) -> dict[str, set[str]]:
        needed_by: dict[str, set[str]] = {task.id: set() for task in self.plan.tasks}
        for task in self.plan.tasks:
            for dependency in task.depends_on:
                needed_by[dependency].add(task.id)
        return needed_by


def graph_of(plan: Plan) -> Graph:
    """The graph of a plan, with its `after` and an ordering for every two other tasks that may write the same file.

    Raises ManifestError with every fault of a plan that was put together around validation.
    """
    if faults := plan.faults():
        raise ManifestError(tuple(Problem(fault.message, task=plan.tasks[fault.index].id) for fault in faults))
    precedence = sorted(plan.tasks, key=lambda task: -task.priority)
    orderings = _find_orderings(precedence)
    return Graph(plan, orderings, _integration_order(precedence, orderings))


def _integration_order(precedence: list[TaskSpec], orderings: Iterable[Ordering]) -> tuple[str, ...]:
    rank = {task.id: position for position, task in enumerate(precedence)}
    sorter: TopologicalSorter[str] = TopologicalSorter({task.id: task.depends_on for task in precedence})
    for ordering in orderings:
        sorter.add(ordering.second, ordering.first)
    sorter.prepare()
    ready: list[int] = []
    order: list[str] = []
    while sorter.is_active():
        for task_id in sorter.get_ready():
            heappush(ready, rank[task_id])
        task_id = precedence[heappop(ready)].id
        order.append(task_id)
        sorter.done(task_id)
    return tuple(order)


def _find_orderings(precedence: list[TaskSpec]) -> tuple[Ordering, ...]:
    """What the plan says, then one pass in order of precedence that joins only tasks no path joins yet: never a cycle.

    Edges that others make superfluous are left out in the end: what is reported is what is needed. Comparing a task
    with its nearest predecessor first avoids most of them, which would cost time.
    """
    waits = {task.id: (*task.depends_on, *task.after) for task in precedence}
    before = {task_id: closure(task_id, waits) for task_id in waits}
    orderings = [
        Ordering(first, task.id, None) for task in precedence for first in sorted({*task.after} - {*task.depends_on})
    ]
    for position, second in enumerate(precedence):
        for first in reversed(precedence[:position]):
            if first.id in before[second.id] or second.id in before[first.id]:
                continue
            overlap = overlap_of(first, second)
            if overlap is None:
                continue
            orderings.append(Ordering(first.id, second.id, overlap))
            gained = before[first.id] | {first.id}
            for task_id, earlier in before.items():
                if task_id == second.id or second.id in earlier:
                    earlier.update(gained)
    return tuple(
        ordering
        for ordering in orderings
        if not any(ordering.first in before[between] for between in before[ordering.second])
    )


def overlap_of(first: TaskSpec, second: TaskSpec) -> tuple[str, str] | None:
    """The first two declared writes of two tasks that may mean the same file."""
    for one in first.writes:
        for other in second.writes:
            if may_overlap(one, other):
                return one, other
    return None


def closure(start: str, edges: Mapping[str, Iterable[str]]) -> set[str]:
    """What the edges lead to from a task, directly or through others; itself only where they lead back to it."""
    seen: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        task_id = waiting.pop()
        if task_id not in seen:
            seen.add(task_id)
            waiting.extend(edges[task_id])
    return seen
