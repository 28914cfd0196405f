"""Which finished work goes together: the base a task starts from, and the candidate that is tested and landed.

Nothing here is remembered between calls but git and the attempts' records, so that a run entered again computes the
same bases, finds the same finished work under the same keys and pays for none of it twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from graftline.git.merging import Conflict, Contribution, Integration
from graftline.git.trees import add_files
from graftline.journal import EventKind
from graftline.records import AttemptRecord, AttemptState, find_finished, heal_records, task_key, task_records
from graftline.run import Run

Finished = Mapping[str, AttemptRecord]
"""Finished work by task id."""


@dataclass(frozen=True)
class Base:
    """The commit a task's worktree is cut from, and the key its finished work is found under."""

    commit: str
    key: str


@dataclass(frozen=True)
class Collision:
    """A task's predecessors do not merge, so there is nothing it could start from."""

    conflicts: tuple[Conflict, ...]

    def __str__(self) -> str:
        return "its predecessors collide: " + "; ".join(describe_conflict(conflict) for conflict in self.conflicts)


async def base_of(run: Run, task: str, finished: Finished) -> Base | Collision:
    """What a task starts from: the merged tree of everything that went before it, plus its acceptance tests.

    What it does not depend on is left out when it collides, as it will be from the result.
    """
    spec = run.plan.task(task)
    needed = run.graph.ancestors(task)
    wanted = run.graph.predecessors(task)
    integration = await _fold(run, run.base, {name: record for name, record in finished.items() if name in wanted})
    if not {conflict.task for conflict in integration.conflicts}.isdisjoint(needed):
        return Collision(integration.conflicts)
    commit = integration.commit
    if spec.acceptance:
        tree = await add_files(run.hub, commit, spec.acceptance)
        title = f"Add the acceptance tests of {spec.title or spec.id}"
        commit = await run.hub.commit_tree(tree, [commit], title, {"Graftline-Run": run.pinned.name})
    return Base(commit=commit, key=task_key(spec, await run.hub.tree_of(commit)))


async def finished_work(run: Run) -> dict[str, AttemptRecord]:
    """The finished tasks of a run, from git and records alone."""
    finished: dict[str, AttemptRecord] = {}
    for task in run.graph.order:
        if any(name not in finished for name in run.graph.dependencies(task)):
            continue
        base = await base_of(run, task, finished)
        if isinstance(base, Collision):
            continue
        record = await find_task(run, task, base)
        if record is not None:
            finished[task] = record
    return finished


async def find_task(run: Run, task: str, base: Base) -> AttemptRecord | None:
    """A task's finished work from this base, if an attempt of this run did it."""
    return await find_finished(run.hub, task_records(run.folder, task), base.key, run.ref("task", task))


async def integrate(run: Run) -> Integration:
    """All finished tasks folded onto the base in integration order; the first candidate of the run."""
    integration = await _fold(run, run.base, await finished_work(run))
    return await add_candidate(run, run.base, integration, number=0)


async def integrate_heals(run: Run, candidate: str, heals: Iterable[AttemptRecord], number: int) -> Integration:
    """Healed work folded onto the candidate it was made for."""
    contributions = [_contribution(run, record) for record in heals if record.state is AttemptState.SUCCEEDED]
    integration = await run.merger.fold(candidate, contributions, depends_on={})
    return await add_candidate(run, candidate, integration, number=number)


async def add_candidate(run: Run, base: str, integration: Integration, *, number: int) -> Integration:
    """Keep an integration on the run's next candidate ref, in the shape of history that the settings ask for."""
    if run.settings.git.history == "linear":
        integration = replace(integration, commit=await run.merger.linearise(base, integration))
    run.candidates += 1
    await run.hub.update_ref(run.ref("candidate", run.candidates), integration.commit)
    run.journal.append(
        EventKind.MERGE_DONE,
        of="heals" if number else "tasks",
        round=number,
        candidate=run.candidates,
        commit=integration.commit,
        tree=integration.tree,
        merged=list(integration.merged),
        skipped=list(integration.skipped),
        conflicts=[{"task": c.task, "with": list(c.with_), "files": list(c.files)} for c in integration.conflicts],
    )
    return integration


def describe_conflict(conflict: Conflict) -> str:
    """One conflict as a person reads it."""
    return f"{conflict.task} with {' and '.join(conflict.with_) or 'the target'} in {', '.join(conflict.files)}"


@dataclass(frozen=True)
class Moved:
    """A candidate brought onto where the target is now."""

    onto: str
    commit: str


async def replay_candidate(run: Run, candidate: str, onto: str) -> Moved | None:
    """The candidate brought from the commit `onto` to where the target is now; None when it does not merge there."""
    tip = await run.hub.fetch_branch(run.repository, run.pinned.target, run.ref("target"))
    commit = await run.merger.replay(onto, candidate, tip)
    if commit is None:
        run.journal.append(EventKind.WARNING, text=f"{run.pinned.target} moved and collides with this run's work")
        return None
    run.candidates += 1
    await run.hub.update_ref(run.ref("candidate", run.candidates), commit)
    return Moved(onto=tip, commit=commit)


async def changed_files(run: Run) -> dict[str, frozenset[str]]:
    """The files each integrated task's work changed, heals included; whose failure a red test is, is decided by it."""
    changed: dict[str, frozenset[str]] = {}
    for task, done in (await finished_work(run)).items():
        records = (done, *heal_records(run.folder, task))
        changed[task] = frozenset(path for record in records for path in record.paths)
    return changed


async def _fold(run: Run, base: str, finished: Finished) -> Integration:
    contributions = [
        _contribution(run, finished[task])
        for task in run.graph.order
        if task in finished and finished[task].state is AttemptState.SUCCEEDED
    ]
    return await run.merger.fold(base, contributions, depends_on=dependencies(run))


def dependencies(run: Run) -> dict[str, tuple[str, ...]]:
    """Each task's dependencies; whoever depends on a conflicted task is left out with it."""
    return {task: run.graph.dependencies(task) for task in run.graph.order}


def _contribution(run: Run, record: AttemptRecord) -> Contribution:
    spec = run.plan.task(record.task)
    title = spec.title or spec.id
    if record.round:
        title = f"Heal {title} (round {record.round})"
    return Contribution(
        task_id=record.task,
        commit=record.commit or "",
        title=title,
        attempt=record.number,
        date=f"@{int(record.ended.timestamp())} +0000",
    )
