"""Asking the planner for a patch: a task failed for good, and the plan is changed around what is finished.

A patch is judged like a plan: what is wrong with it goes back in one message, and nothing of it is used before nothing
is wrong with it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import anyio.to_thread
from pydantic import Field, ValidationError

from graftline.errors import ManifestError, Problem
from graftline.manifest import dump_manifest
from graftline.patch import (
    MOST_NEW_TASKS,
    MOST_OPERATIONS,
    Add,
    Cancel,
    Operation,
    Patched,
    PlanPatch,
    ReEdge,
    Split,
    apply_patch,
)
from graftline.plan import Plan, TaskId, TaskSpec
from graftline.planning.asking import Ask
from graftline.planning.composition import compose_task, configured_tiers
from graftline.planning.draft import MAX_ITEMS, DraftTask, Part, Reason
from graftline.planning.planner import Job, conversation, planning_question
from graftline.planning.provider import Answer, Message
from graftline.planning.repair import ask_until_valid
from graftline.planning.scaffold import CheckScaffold
from graftline.planning.setback import Setback
from graftline.planning.validation import check_tasks, read_as

Ids = Annotated[tuple[TaskId, ...], Field(max_length=MAX_ITEMS)]


class DraftSplit(Part):
    """New tasks in the place of an old one."""

    task: TaskId = Field(description="Id of the task of the plan")
    into: Ids = Field(min_length=1, description="Ids of the new tasks in its place")


class DraftCancel(Part):
    """A task that is not needed any more."""

    task: TaskId = Field(description="Id of the task of the plan")
    why: Reason = Field(description="Why the request is met without it")
    heir: str = Field(max_length=64, description="Id of the task that takes over its tests; empty when it has none")


class DraftReEdge(Part):
    """Other edges of a task."""

    task: TaskId = Field(description="Id of the task of the plan")
    depends_on: Ids = Field(description="All tasks whose work it cannot do without")
    after: Ids = Field(description="All tasks that it must not run at the same time with")


class DraftPatch(Part):
    """A change of a plan that is being carried out; empty lists when no change would help."""

    reason: Reason = Field(description="One sentence for people: why the task failed, and what changes for that")
    tasks: tuple[DraftTask, ...] = Field(max_length=MOST_NEW_TASKS, description="Every new task")
    split: tuple[DraftSplit, ...] = Field(max_length=MOST_OPERATIONS, description="Tasks replaced by new ones")
    cancel: tuple[DraftCancel, ...] = Field(max_length=MOST_OPERATIONS, description="Tasks that are not needed")
    re_edge: tuple[DraftReEdge, ...] = Field(max_length=MOST_OPERATIONS, description="Tasks that wait for others")


@dataclass(frozen=True)
class ProposedPatch:
    """A patch that may be applied, and the plan it leads to; `notes` are for people.

    One without operations says that the planner knows of none, with the reason.
    """

    patch: PlanPatch
    patched: Patched
    notes: tuple[str, ...] = ()


async def make_patch(
    job: Job, plan: Plan, setback: Setback, ask: Ask, check_scaffold: CheckScaffold, *, taken: Collection[str]
) -> ProposedPatch:
    """The patch that a model makes of a plan after a setback; `taken` are ids that tasks of the run had or have.

    Raises:
        PlannerError: it did not become valid within the tries that the settings allow, or nobody could be asked.
        SettingsError: a template of the repository's own cannot be rendered.
        CannotRunError: the tests of the repository cannot be run at all.
    """
    standings = setback.standings(task.id for task in plan.tasks)
    attempts = [attempt.model_dump(mode="json") for attempt in setback.attempts]
    asked = job.templates.render("patch", task=setback.task, standings=standings, attempts=attempts)
    messages = [*conversation(job), Message("assistant", dump_manifest(plan, "json")), Message("user", asked)]
    judge = _Judge(job, plan, frozenset(setback.finished), frozenset(taken), check_scaffold)
    repaired = await ask_until_valid(
        planning_question(job, "patch", messages, DraftPatch.model_json_schema()),
        ask,
        judge.judge,
        templates=job.templates,
        tries=1 + job.settings.planner.max_replan_attempts,
    )
    return repaired.value


@dataclass(frozen=True)
class _Judge:
    """Makes a patch of an answer, or says everything that is wrong with it."""

    job: Job
    plan: Plan
    finished: frozenset[str]
    taken: frozenset[str]
    check_scaffold: CheckScaffold

    async def judge(self, answer: Answer) -> ProposedPatch | tuple[Problem, ...]:
        if answer.data is None:
            return (Problem(answer.problem),)
        draft = read_as(DraftPatch, answer.data)
        if not isinstance(draft, DraftPatch):
            return draft
        if problems := tuple(_find_stray(draft)):
            return problems
        tiers = configured_tiers(self.job.settings)
        specs = [compose_task(task, self.job.templates, tiers) for task in draft.tasks]
        applied = await anyio.to_thread.run_sync(self._apply, draft, specs)
        if not isinstance(applied, ProposedPatch):
            return applied
        known = await check_tasks(self.plan.tasks, self.job.ground)
        if problems := tuple(
            one for one in await check_tasks(applied.patched.plan.tasks, self.job.ground) if one not in known
        ):
            return problems
        scaffold = await self.check_scaffold(_scaffold_of(specs)) if any(spec.acceptance for spec in specs) else None
        if scaffold is not None and scaffold.problems:
            return scaffold.problems
        return replace(applied, notes=scaffold.notes) if scaffold is not None else applied

    def _apply(self, draft: DraftPatch, specs: Sequence[TaskSpec]) -> ProposedPatch | tuple[Problem, ...]:
        inherited = _criteria_of_removed(self.plan, draft)
        new = {spec.id: _take_over(spec, inherited) for spec in specs}
        try:
            patch = PlanPatch(reason=draft.reason, operations=tuple(_operations(draft, new)))
            return ProposedPatch(patch, apply_patch(self.plan, patch, self.finished, taken=self.taken))
        except ManifestError as error:
            return error.problems
        except ValidationError as error:
            return tuple(Problem(details["msg"]) for details in error.errors())


def _find_stray(draft: DraftPatch) -> Iterator[Problem]:
    """What does not fit together within a patch: new tasks twice, or in the place of two."""
    new = [task.id for task in draft.tasks]
    yield from (Problem("two new tasks have this id", task=task) for task in dict.fromkeys(new) if new.count(task) > 1)
    placed = [part for split in draft.split for part in split.into]
    for part in dict.fromkeys(placed):
        if part not in new:
            yield Problem(
                f"`split` puts {part!r} in its place, and no new task has that id", task=_split_into(draft, part)
            )
        elif placed.count(part) > 1:
            yield Problem("`split` puts it into the place of more than one task", task=part)


def _split_into(draft: DraftPatch, part: str) -> str:
    return next(split.task for split in draft.split if part in split.into)


def _criteria_of_removed(plan: Plan, draft: DraftPatch) -> Mapping[str, str]:
    """The acceptance tests of the tasks that a patch takes out of the plan, which new tasks may take over."""
    gone = {*(split.task for split in draft.split), *(cancel.task for cancel in draft.cancel)}
    return {path: content for task in plan.tasks if task.id in gone for path, content in task.acceptance.items()}


def _take_over(spec: TaskSpec, inherited: Mapping[str, str]) -> TaskSpec:
    """A new task with the acceptance tests that it names among its `tests`."""
    taken = {test: inherited[test] for test in spec.tests if test in inherited and test not in spec.acceptance}
    return spec.model_copy(update={"acceptance": {**spec.acceptance, **taken}}) if taken else spec


def _operations(draft: DraftPatch, new: Mapping[str, TaskSpec]) -> Iterator[Operation]:
    placed = {part for split in draft.split for part in split.into}
    yield from (Split(task=split.task, into=tuple(new[part] for part in split.into)) for split in draft.split)
    yield from (Add(task=task) for task in new.values() if task.id not in placed)
    yield from (Cancel(task=one.task, why=one.why, heir=one.heir or None) for one in draft.cancel)
    yield from (ReEdge(task=one.task, depends_on=one.depends_on, after=one.after) for one in draft.re_edge)


def _scaffold_of(specs: Iterable[TaskSpec]) -> Plan:
    """The new acceptance tests as a plan of their own: those that there were have been tried."""
    loose = {"depends_on": (), "after": ()}
    return Plan(title="the patch", tasks=tuple(spec.model_copy(update=loose) for spec in specs if spec.acceptance))
