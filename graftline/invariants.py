"""What stays as it is when a plan changes that is partly done: finished work, and what was to be proven.

Finished work is found by what its task said and by the tree it was made from. So a change may neither touch a finished
task, nor put anything before it that was not there when it was made.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from graftline.errors import Problem
from graftline.plan import Graph, Plan, TaskSpec, closure, graph_of, overlap_of


def keep_finished_first(before: Plan, tasks: Iterable[TaskSpec], finished: Collection[str]) -> tuple[TaskSpec, ...]:
    """The tasks of a changed plan with the edges that keep finished work where it was.

    The `after` of a finished task names finished tasks only: those it was made after, also where that was because of
    one between them. An unfinished task that may write what a finished one wrote waits for it.
    """
    graph = graph_of(before)
    known = {task.id for task in before.tasks}
    kept = [
        task.model_copy(update={"after": _made_after(graph, task, finished)})
        if task.id in {*finished} & known
        else task
        for task in tasks
    ]
    done = [task for task in kept if task.id in finished]
    waits = _waits(kept)
    return tuple(task if task.id in finished else _after_finished(task, done, waits) for task in kept)


def _made_after(graph: Graph, task: TaskSpec, finished: Collection[str]) -> tuple[str, ...]:
    """What is left of a finished task's `after` when it names finished tasks only, and what stood behind the others."""
    kept = [name for name in task.after if name in finished]
    behind: set[str] = set()
    waiting = [name for name in graph.waits_for(task.id) if name not in finished]
    while waiting:
        for name in graph.waits_for(waiting.pop()):
            if name in finished:
                behind.add(name)
            else:
                waiting.append(name)
    return (*kept, *sorted(behind - {*kept, *graph.ancestors(task.id)}))


def _after_finished(task: TaskSpec, done: Sequence[TaskSpec], waits: Mapping[str, tuple[str, ...]]) -> TaskSpec:
    before = closure(task.id, waits)
    added: list[str] = []
    for other in reversed(done):
        if other.id not in before and overlap_of(task, other) is not None:
            added.append(other.id)
            before |= {other.id, *closure(other.id, waits)}
    return task.model_copy(update={"after": (*task.after, *added)}) if added else task


def find_breaches(
    before: Plan, after: Plan, finished: Collection[str], origins: Mapping[str, str]
) -> Iterator[Problem]:
    """Every way in which a change of a plan breaks a promise.

    `origins` names, for each task that came of a split, the task that was split.
    """
    yield from _touched(before, after, finished)
    yield from _orphaned(before, after)
    yield from _clashing(before, after, finished, origins)
    yield from _silent(before, after, origins)


def _touched(before: Plan, after: Plan, finished: Collection[str]) -> Iterator[Problem]:
    now = {task.id: task for task in after.tasks}
    for task in before.tasks:
        if task.id not in finished:
            continue
        if task.id not in now:
            yield Problem("it is finished, so it stays in the plan", task=task.id)
        elif now[task.id].model_copy(update={"after": task.after}) != task:
            yield Problem("it is finished, so nothing of it may change", task=task.id)


def _orphaned(before: Plan, after: Plan) -> Iterator[Problem]:
    """Acceptance files that are lost, rewritten or shared, and tests that no task has to make green any more."""
    owners: dict[str, list[TaskSpec]] = {}
    for task in after.tasks:
        for path in task.acceptance:
            owners.setdefault(path, []).append(task)
    shared = {
        path for path, count in Counter(path for task in before.tasks for path in task.acceptance).items() if count > 1
    }
    for path, own in owners.items():
        if len(own) > 1 and path not in shared:
            names = " and ".join(repr(task.id) for task in own)
            yield Problem(f"the acceptance file {path!r} belongs to {names}; it can be only one task's", task=own[0].id)
    tests = {test for task in after.tasks for test in task.tests}
    for task in before.tasks:
        for path, content in task.acceptance.items():
            if path not in owners:
                yield Problem(f"its acceptance file {path!r} would be no task's any more; hand it on", task=task.id)
            elif not any(owner.acceptance[path] == content for owner in owners[path]):
                yield Problem(f"its acceptance file {path!r} is handed on with another content", task=task.id)
        for test in task.tests:
            if test not in tests and test not in task.acceptance:
                yield Problem(f"the test {test!r} would be no task's to make green any more; hand it on", task=task.id)


def _clashing(before: Plan, after: Plan, finished: Collection[str], origins: Mapping[str, str]) -> Iterator[Problem]:
    """Tasks to be done that may write the same file in any order, and that did not come of two that were so before."""
    clashing = tuple(_unordered_overlaps(after.tasks, finished))
    if not clashing:  # to compare the writes of all tasks takes time
        return
    # Compared as it would be without a change: a finished task that stood between two others does so no more.
    unchanged = keep_finished_first(before, before.tasks, finished)
    allowed = {frozenset(pair) for pair in _unordered_overlaps(unchanged, finished)}
    for one, other in clashing:
        if frozenset({origins.get(one, one), origins.get(other, other)}) not in allowed:
            yield Problem(f"it and {other!r} may write the same files, and neither waits for the other", task=one)


def _unordered_overlaps(tasks: Sequence[TaskSpec], finished: Collection[str]) -> Iterator[tuple[str, str]]:
    """Every two tasks to be done that may write the same file, and of which none says that it waits for the other."""
    waits = _waits(tasks)
    left = [(task, closure(task.id, waits)) for task in tasks if task.id not in finished]
    for (one, before_one), (other, before_other) in combinations(left, 2):
        if one.id not in before_other and other.id not in before_one and overlap_of(one, other) is not None:
            yield one.id, other.id


def _waits(tasks: Iterable[TaskSpec]) -> Mapping[str, tuple[str, ...]]:
    """What each task itself says it waits for; nothing for names of no task, which are named as a fault elsewhere."""
    return defaultdict(tuple, {task.id: (*task.depends_on, *task.after) for task in tasks})


def _silent(before: Plan, after: Plan, origins: Mapping[str, str]) -> Iterator[Problem]:
    """New tasks that do not say what they write, which nothing would keep apart from others."""
    silent = {task.id for task in before.tasks if not task.writes and not task.read_only}
    known = {task.id for task in before.tasks}
    for task in after.tasks:
        if task.id not in known and not task.writes and not task.read_only and origins.get(task.id) not in silent:
            yield Problem("it declares no `writes`; say what it changes, or that it is `read_only`", task=task.id)
