"""What is wrong with tasks that a model wrote, all of it at once: they are held to more than a person's own plan.

A draft is read first (keys, types, sizes), then the tasks made of it are judged against one another and against the
files of the repository. Paths are compared by their text, and letter case is ignored as some file systems do.
"""

import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import anyio.to_thread
from pydantic import BaseModel, JsonValue, ValidationError

from graftline.errors import Problem
from graftline.paths import may_overlap
from graftline.plan import Plan, TaskSpec
from graftline.planning.draft import MAX_ITEMS, MAX_TASKS, Draft, DraftTask
from graftline.spellings.document import Document
from graftline.spellings.problems import KnownKeys, fault_problems, shape_problems

LARGEST_SCAFFOLD = 400_000
LONGEST_ID = 64
MOST_PARTS = 20_000

Shape = TypeVar("Shape", bound=BaseModel)
FindIgnored = Callable[[Iterable[str]], Awaitable[frozenset[str]]]
"""Says which of some paths git ignores in the repository."""


@dataclass(frozen=True)
class Ground:
    """What a plan is made on: the repository's tracked files, and what git ignores in it."""

    tracked: frozenset[str]
    find_ignored: FindIgnored


def read_draft(data: Mapping[str, JsonValue]) -> Draft | tuple[Problem, ...]:
    """A draft from what a model answered, which is bounded in size and depth; or everything by which it is none."""
    count = len(_items(data, "tasks"))
    if count > MAX_TASKS:  # all that may be wrong with thousands would say nothing more
        return (Problem(f"the plan has {count} tasks; at most {MAX_TASKS}, so make fewer and larger ones"),)
    draft = read_as(Draft, data)
    if isinstance(draft, Draft):
        return draft
    return (*draft, *fault_problems(Document(_with_plain_dependencies(data), "")))


def read_as(shape: type[Shape], data: Mapping[str, JsonValue]) -> Shape | tuple[Problem, ...]:
    """What a model answered in the shape it was asked for, or everything by which it has another one."""
    if (parts := _count(data)) > MOST_PARTS:  # a list of all that may be wrong with them would take minutes
        return (Problem(f"the answer has {parts} entries in all, which is more than {MOST_PARTS}: give a shorter one"),)
    try:
        return shape.model_validate(data)
    except ValidationError as error:
        known: KnownKeys = {(): shape.model_fields, ("tasks",): DraftTask.model_fields}
        return tuple(shape_problems(error, Document(data, ""), known_keys=known, spellings={}))


async def check_tasks(tasks: Sequence[TaskSpec], ground: Ground) -> tuple[Problem, ...]:
    """Every rule that the tasks of a plan break which a model wrote; none when it may be carried out."""
    ignored = await ground.find_ignored(sorted({path for task in tasks for path in (*task.writes, *task.acceptance)}))
    return await anyio.to_thread.run_sync(_find_problems, tasks, ground.tracked, ignored)


def _find_problems(tasks: Sequence[TaskSpec], tracked: frozenset[str], ignored: frozenset[str]) -> tuple[Problem, ...]:
    faults = Plan.model_construct(tasks=tuple(tasks)).faults()
    files = _Files(tracked)
    return (
        *(Problem(fault.message, task=tasks[fault.index].id) for fault in faults),
        *_unsaid_writes(tasks),
        *_shared_writes(tasks),
        *_impossible_writes(tasks, files),
        *_ignored(tasks, files, ignored),
        *_acceptance_in_the_way(tasks, files),
        *_acceptance_of_two(tasks),
        *_unknown_tests(tasks, files),
        *_too_much_scaffold(tasks),
    )


class _Files:
    """The tracked files and the folders above them, found whatever the letter case."""

    def __init__(self, tracked: Iterable[str]) -> None:
        self._files = {_folded(path): path for path in tracked}
        self._folders = {folder for path in self._files for folder in _above(path)}

    def file(self, path: str) -> str | None:
        """The tracked file that a path names."""
        return self._files.get(_folded(path))

    def is_folder(self, path: str) -> bool:
        """Whether tracked files lie below a path."""
        return _folded(path) in self._folders

    def file_above(self, path: str) -> str | None:
        """The tracked file, or link, that a path leads through as if it were a folder."""
        return next((self._files[above] for above in _above(_folded(path)) if above in self._files), None)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFD", path.casefold())


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _items(data: object, key: str) -> list[JsonValue]:
    items = data.get(key) if isinstance(data, Mapping) else None
    return items if isinstance(items, list) else []


def _count(value: JsonValue | Mapping[str, JsonValue]) -> int:
    """How many values there are within one; the reader of answers has bounded how deep they lie."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return sum(1 + _count(each) for each in inner)


def _with_plain_dependencies(data: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The ids and dependencies in the data as a plan file has them: the rules between tasks look at nothing else.

    Of what is too many anyway, no more than there may be.
    """
    tasks: list[JsonValue] = []
    for task in _items(data, "tasks"):
        needs: list[JsonValue] = [_id_in(need, "task") for need in _items(task, "depends_on")[:MAX_ITEMS]]
        tasks.append({"id": _id_in(task, "id"), "depends_on": needs})
    return {"tasks": tasks}


def _id_in(data: JsonValue, key: str) -> str | None:
    """What may be an id under a key; longer ones are told already, and would take minutes to compare."""
    name = data.get(key) if isinstance(data, Mapping) else None
    return name if isinstance(name, str) and len(name) <= LONGEST_ID else None


def _unsaid_writes(tasks: Sequence[TaskSpec]) -> Iterator[Problem]:
    for task in tasks:
        if not task.read_only and not task.writes:
            yield Problem("it changes files and does not say which: list them in `writes`", task=task.id)


def _shared_writes(tasks: Sequence[TaskSpec]) -> Iterator[Problem]:
    before = {task.id: _all_before(task.id, tasks) for task in tasks}
    for first, second in combinations(tasks, 2):
        if first.id == second.id or first.id in before[second.id] or second.id in before[first.id]:
            continue
        shared = next(((a, b) for a in first.writes for b in second.writes if may_overlap(a, b)), None)
        if shared is not None:
            yield Problem(
                f"it writes {shared[1]!r}, and {first.id!r}, which may run at the same time, writes {shared[0]!r}: "
                "give each file to one task, or make one depend on the other if it needs its work",
                task=second.id,
            )


def _all_before(task_id: str, tasks: Sequence[TaskSpec]) -> set[str]:
    waits_for = {task.id: (*task.depends_on, *task.after) for task in tasks}
    seen: set[str] = set()
    waiting = [task_id]
    while waiting:
        fresh = set(waits_for.get(waiting.pop(), ())) - seen
        seen |= fresh
        waiting += fresh
    return seen


def _impossible_writes(tasks: Sequence[TaskSpec], files: _Files) -> Iterator[Problem]:
    for task in tasks:
        for path in task.writes:
            if (above := files.file_above(path)) is not None:
                yield Problem(f"`writes` names {path!r}, but {above!r} is a file or a link, not a folder", task=task.id)


def _ignored(tasks: Sequence[TaskSpec], files: _Files, ignored: frozenset[str]) -> Iterator[Problem]:
    for task in tasks:
        for path in dict.fromkeys((*task.writes, *task.acceptance)):
            if path in ignored and files.file(path) is None:  # a file that is tracked is kept all the same
                yield Problem(f"git ignores {path!r}, so nothing of it would be kept", task=task.id)


def _acceptance_in_the_way(tasks: Sequence[TaskSpec], files: _Files) -> Iterator[Problem]:
    for task in tasks:
        for path in task.acceptance:
            if (tracked := files.file(path)) is not None:
                message = f"the acceptance test {path!r} would replace the file {tracked!r}: choose a new path"
            elif files.is_folder(path):
                message = f"the acceptance test {path!r} is a folder of the repository: choose a new path"
            elif (above := files.file_above(path)) is not None:
                message = f"the acceptance test {path!r} lies below {above!r}, which is a file or a link, not a folder"
            else:
                continue
            yield Problem(message, task=task.id)


def _acceptance_of_two(tasks: Sequence[TaskSpec]) -> Iterator[Problem]:
    """Each acceptance test is one task's, and no other task may write it."""
    owners: dict[str, tuple[TaskSpec, str]] = {}
    for task in tasks:
        for path in task.acceptance:
            owner, _ = owners.setdefault(_folded(path), (task, path))
            if owner is not task:
                yield Problem(
                    f"the acceptance test {path!r} is one of {owner.id!r} too: each is one task's", task=task.id
                )
    for folded, (owner, path) in owners.items():
        if (above := next((each for each in _above(folded) if each in owners), None)) is not None:
            yield Problem(f"the acceptance test {path!r} lies below the file {owners[above][1]!r}", task=owner.id)
        for task in tasks:
            pattern = next((each for each in task.writes if may_overlap(each, path)), None)
            if task is not owner and pattern is not None:
                message = (
                    f"`writes` has {pattern!r}, which takes in {path!r}, an acceptance test of {owner.id!r}: narrow it"
                )
                yield Problem(message, task=task.id)


def _unknown_tests(tasks: Sequence[TaskSpec], files: _Files) -> Iterator[Problem]:
    for task in tasks:
        for test in task.tests:
            path = test.partition("::")[0]
            if path not in task.acceptance and files.file(path) is None and not files.is_folder(path):
                yield Problem(f"`tests` names {test!r}, and the repository has no such file", task=task.id)


def _too_much_scaffold(tasks: Sequence[TaskSpec]) -> Iterator[Problem]:
    size = sum(len(content) for task in tasks for content in task.acceptance.values())
    if size > LARGEST_SCAFFOLD:
        yield Problem(
            f"the acceptance tests are {size} characters together; at most {LARGEST_SCAFFOLD}: fewer, plainer tests"
        )
