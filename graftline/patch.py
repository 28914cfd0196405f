"""Plan patches: what a running plan may be changed by, and the plan that comes of it.

A patch adds, splits, cancels or re-edges tasks. It comes from a model and is judged before anything follows from it:
finished tasks stay as they are, and what was to be proven stays somebody's to prove (`graftline.invariants`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from graftline.dependencies import nearest
from graftline.errors import ManifestError, Problem
from graftline.invariants import find_breaches, keep_finished_first
from graftline.plan import RULE, OneLine, Plan, TaskId, TaskSpec

MOST_OPERATIONS: Final = 20
MOST_NEW_TASKS: Final = 20
LARGEST_PATCH_CHARACTERS: Final = 1_000_000
EDGES: Final = ("depends_on", "after")
"""The keys of a task that name other tasks."""

Why = Annotated[OneLine, Field(min_length=1, max_length=500)]


class _Operation(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Add(_Operation):
    """A new task, at the end of the plan."""

    kind: Literal["add"] = "add"
    task: TaskSpec


class Split(_Operation):
    """New tasks in the place of one that is not finished; one new task says the old one in other words.

    Those that wait for none of the others take over what the old task waited for. Whoever waited for the old task waits
    for those that none of the others depends on.
    """

    kind: Literal["split"] = "split"
    task: TaskId
    into: tuple[TaskSpec, ...] = Field(min_length=1, max_length=MOST_NEW_TASKS)


class Cancel(_Operation):
    """A task that is not finished is not needed any more.

    `heir` takes over its acceptance files and its tests. Tasks that depend on it have to be re-edged.
    """

    kind: Literal["cancel"] = "cancel"
    task: TaskId
    why: Why
    heir: TaskId | None = None


class ReEdge(_Operation):
    """Other tasks that one that is not finished depends on, or waits for; what is None stays as it is."""

    kind: Literal["re-edge"] = "re-edge"
    task: TaskId
    depends_on: tuple[TaskId, ...] | None = None
    after: tuple[TaskId, ...] | None = None


Operation = Annotated[Add | Split | Cancel | ReEdge, Field(discriminator="kind")]


class PlanPatch(BaseModel):
    """A change of a plan whose tasks are partly done; the operations apply one after the other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Why
    operations: tuple[Operation, ...] = Field(max_length=MOST_OPERATIONS)

    @property
    def new_tasks(self) -> tuple[TaskSpec, ...]:
        """The tasks it brings, as it words them."""
        return tuple(task for operation in self.operations for task in _brought_by(operation))

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if len(self.new_tasks) > MOST_NEW_TASKS:
            raise PydanticCustomError(RULE, "{message}", {"message": f"more than {MOST_NEW_TASKS} new tasks"})
        size = sum(len(task.prompt) + sum(map(len, task.acceptance.values())) for task in self.new_tasks)
        if size > LARGEST_PATCH_CHARACTERS:
            message = f"more than {LARGEST_PATCH_CHARACTERS:,} characters of prompts and acceptance tests"
            raise PydanticCustomError(RULE, "{message}", {"message": message})
        return self


@dataclass(frozen=True)
class Patched:
    """A plan after a change, and the tasks that are not in it any more, each with the reason."""

    plan: Plan
    removed: Mapping[str, str]


def apply_patch(
    plan: Plan, patch: PlanPatch, finished: Collection[str], *, taken: Collection[str] = frozenset()
) -> Patched:
    """The plan after a patch. `finished` are the tasks that are done, `taken` ids that tasks of this run once had.

    A finished task stays as it is, but for `after`: it names the finished tasks that this one was made after, whatever
    stood between them.

    Raises:
        ManifestError: with every problem of the patch, and of the plan it would lead to.
    """
    if not patch.operations:
        return Patched(plan, {})
    change = _Change(plan, finished, taken)
    for operation in patch.operations:
        change.apply(operation)
    after = plan.model_copy(update={"tasks": change.joined()})
    return Patched(_settled(plan, after, finished, change.problems, change.origins), change.removed)


def apply_edit(plan: Plan, edited: Plan, finished: Collection[str], *, taken: Collection[str] = frozenset()) -> Patched:
    """The plan as a person wants it who was shown a patch, under the same rules.

    Raises:
        ManifestError: with every problem.
    """
    kept = {task.id for task in edited.tasks}
    gone = {name.casefold() for name in taken} - {task.id.casefold() for task in plan.tasks}
    problems = [
        Problem("a task that is not in the plan any more had that id; choose another", task=task.id)
        for task in edited.tasks
        if task.id.casefold() in gone
    ]
    after = _settled(plan, edited, finished, problems, {})
    return Patched(after, {task.id: "taken out by a person" for task in plan.tasks if task.id not in kept})


def _settled(
    before: Plan, after: Plan, finished: Collection[str], problems: list[Problem], origins: Mapping[str, str]
) -> Plan:
    """The changed plan, once nothing is wrong with it."""
    # Around validation, so that what that would name is named along with the rest.
    after = after.model_copy(update={"tasks": keep_finished_first(before, after.tasks, finished)})
    problems += find_breaches(before, after, finished, origins)
    problems += [Problem(fault.message, task=after.tasks[fault.index].id) for fault in after.faults()]
    if not after.tasks:
        problems.append(Problem("no task would be left in the plan"))
    if problems:
        raise ManifestError(tuple(dict.fromkeys(problems)))
    return after


def _brought_by(operation: Operation) -> tuple[TaskSpec, ...]:
    match operation:
        case Add(task=task):
            return (task,)
        case Split(into=into):
            return into
        case _:
            return ()


class _Change:
    """A plan's tasks while operations are applied to them one after the other."""

    def __init__(self, plan: Plan, finished: Collection[str], taken: Collection[str]) -> None:
        self.tasks = {task.id: task for task in plan.tasks}
        self.removed: dict[str, str] = {}
        self.origins: dict[str, str] = {}
        self.problems: list[Problem] = []
        self._finished = finished
        self._given = frozenset(self.tasks)
        self._taken = {name.casefold() for name in (*taken, *self.tasks)}

    def apply(self, operation: Operation) -> None:
        """Change the tasks, or say why not."""
        match operation:
            case Add(task=task):
                self.tasks |= {new.id: new for new in self._free((task,))}
            case Split():
                self._split(operation)
            case Cancel():
                self._cancel(operation)
            case ReEdge(task=task, depends_on=depends_on, after=after):
                if self._may_change(task, "re-edged"):
                    edges = {"depends_on": depends_on, "after": after}
                    self._update(task, {key: names for key, names in edges.items() if names is not None})

    def joined(self) -> tuple[TaskSpec, ...]:
        """The tasks without edges to those that were removed; who depended on one has to say on what instead."""
        gone = self.removed.keys()
        for task in self.tasks.values():
            for name in gone & {*task.depends_on}:
                why = f"it depends on {name!r}, which was {self.removed[name]}: re-edge it"
                self.problems.append(Problem(why, task=task.id))
        return tuple(
            task.model_copy(
                update={key: tuple(name for name in getattr(task, key) if name not in gone) for key in EDGES}
            )
            for task in self.tasks.values()
        )

    def _split(self, split: Split) -> None:
        parts = self._free(split.into)
        if not self._may_change(split.task, "split"):
            return
        old, inner = self.tasks[split.task], {part.id for part in parts}
        needed = {name for part in parts for name in part.depends_on}
        new = [part if inner & {*part.depends_on} else _with_edges_of(old, part) for part in parts]
        last = tuple(part.id for part in parts if part.id not in needed)
        self.tasks = {
            task.id: task
            for each in self.tasks.values()
            for task in (new if each is old else [_redirect(each, old.id, last)])
        }
        self.removed[old.id] = f"replaced by {' and '.join(part.id for part in parts)}"
        self.origins |= dict.fromkeys(inner, old.id)

    def _cancel(self, cancel: Cancel) -> None:
        if not self._may_change(cancel.task, "cancelled"):
            return
        old = self.tasks.pop(cancel.task)
        self.removed[old.id] = f"cancelled: {cancel.why}"
        if cancel.heir is None:
            return
        heir = self.tasks.get(cancel.heir)
        if heir is None:
            self._refuse(
                cancel.task, f"there is no task {cancel.heir!r}{nearest(cancel.heir, self.tasks)} to hand it to"
            )
        elif heir.id in self._finished:
            self._refuse(cancel.task, f"{heir.id!r} is finished, so nothing can be handed to it")
        else:
            tests = dict.fromkeys((*heir.tests, *old.tests))
            self._update(heir.id, {"acceptance": {**old.acceptance, **heir.acceptance}, "tests": tuple(tests)})

    def _free(self, new: Iterable[TaskSpec]) -> list[TaskSpec]:
        """Those of the new tasks whose ids nobody else has or had."""
        free = []
        for task in new:
            if task.id.casefold() in self._taken:
                self._refuse(task.id, "a task of this run has or had that id; choose another for the new one")
            else:
                self._taken.add(task.id.casefold())
                free.append(task)
        return free

    def _may_change(self, task: str, how: str) -> bool:
        if task in self._finished:
            self._refuse(task, f"it is finished, so it cannot be {how}")
        elif task in self.removed:
            self._refuse(task, f"it cannot be {how}: it was {self.removed[task]}")
        elif task not in self.tasks:
            self._refuse(task, f"there is no such task that could be {how}{nearest(task, self._given)}")
        elif task not in self._given:
            self._refuse(task, f"it is new, so it cannot be {how}; say of the task itself what it is to be")
        else:
            return True
        return False

    def _refuse(self, task: str, why: str) -> None:
        self.problems.append(Problem(why, task=task))

    def _update(self, task: str, fields: Mapping[str, object]) -> None:
        self.tasks[task] = self.tasks[task].model_copy(update=fields)


def _with_edges_of(old: TaskSpec, part: TaskSpec) -> TaskSpec:
    """The first part of a split task, which waits for what that waited for."""
    return part.model_copy(update={key: _joined(getattr(old, key), getattr(part, key)) for key in EDGES})


def _redirect(task: TaskSpec, old: str, new: tuple[str, ...]) -> TaskSpec:
    """A task that waits for others in the place of the one that was split."""
    changed: dict[str, tuple[str, ...]] = {}
    for key in EDGES:
        names: tuple[str, ...] = getattr(task, key)
        if old in names:
            place = names.index(old)
            changed[key] = _joined(names[:place], new, names[place + 1 :])
    return task.model_copy(update=changed) if changed else task


def _joined(*names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in names for name in each))
