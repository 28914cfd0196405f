"""Merges computed in the object database: tasks folded onto a base in a fixed order, no checkout anywhere.

The same base and contributions always give the same commit ids, on every machine: dates come from the contributions
and no person's merge settings take part. So a base computed for a dependent task and the same prefix of the final
integration are one commit, and merging the dependent onto it is trivial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from graftline.git.hub import Hub, commit_message

THE_TARGET = "the target"
# The hub knows no one's merge settings, so git's defaults hold, with one exception: a file stays where its task wrote
# it, even when another task renamed most of the folder around it.
MERGE_CONFIG: Mapping[str, str] = MappingProxyType({"merge.directoryRenames": "false"})


@dataclass(frozen=True)
class Contribution:
    """What one task adds: the commit of its attempt, and what the merge commit says of it.

    `date` (`@SECONDS ZONE`) is that of the merge commit; without one it is the committer date of `commit`.
    """

    task_id: str
    commit: str
    title: str
    attempt: int
    date: str | None = None


@dataclass(frozen=True)
class Conflict:
    """A task left out because its changes collide: with which tasks (or the target), in which files."""

    task: str
    with_: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One task integrated: the tree it led to, with the message and date of its merge commit."""

    task_id: str
    tree: str
    message: str
    date: str


@dataclass(frozen=True)
class Integration:
    """A base with tasks folded onto it.

    `merged` holds the tasks contained in `commit`, in order; `conflicts` those left out for a collision; `skipped`
    those left out because something they depend on was. `steps` are the tasks that changed the tree.
    """

    commit: str
    tree: str
    merged: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    steps: tuple[Step, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class _Commit:
    """A commit on the integration line."""

    id: str
    tree: str


@dataclass(frozen=True)
class _Merge:
    """What merging one commit onto another gave: `result` is None when `files` collide."""

    result: _Commit | None
    files: tuple[str, ...] = ()
    step: Step | None = None


@dataclass
class _Line:
    """The integration so far; `tips` pairs each merged task with the commits before and after it."""

    current: _Commit
    merged: list[str] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    tips: list[tuple[str, str, str]] = field(default_factory=list)


class Merger:
    """Folds the tasks of one run; every merge is computed once, keyed by what is merged onto what."""

    def __init__(self, hub: Hub, run_id: str) -> None:
        self._hub = hub
        self._run_id = run_id
        self._merges: dict[tuple[str, Contribution], _Merge] = {}

    async def fold(
        self, base: str, contributions: Sequence[Contribution], *, depends_on: Mapping[str, tuple[str, ...]]
    ) -> Integration:
        """Merge contributions onto a base in the given order, one merge commit each.

        A colliding one is left out, the earlier ones stay, and what depends on it (through any number of tasks) is
        skipped. One that adds nothing, or is contained already, counts as merged without a commit.
        """
        line = _Line(_Commit(base, await self._hub.tree_of(base)))
        lost: set[str] = set()
        for contribution in contributions:
            task_id = contribution.task_id
            if lost & _predecessors(task_id, depends_on):
                line.skipped.append(task_id)
                lost.add(task_id)
                continue
            merge = await self._merge(line.current, contribution)
            if merge.result is None:
                line.conflicts.append(await self._conflict(base, line, contribution, merge.files))
                lost.add(task_id)
                continue
            line.merged.append(task_id)
            if merge.step is not None:
                line.steps.append(merge.step)
                line.tips.append((task_id, line.current.id, merge.result.id))
            line.current = merge.result
        return Integration(
            commit=line.current.id,
            tree=line.current.tree,
            merged=tuple(line.merged),
            conflicts=tuple(line.conflicts),
            steps=tuple(line.steps),
            skipped=tuple(line.skipped),
        )

    async def linearise(self, base: str, integration: Integration) -> str:
        """The integration as one commit per task on the base, without merge commits; the final tree is the same."""
        tip = base
        for step in integration.steps:
            tip = await self._hub.commit_tree(step.tree, [tip], step.message, {}, date=step.date)
        return tip

    async def replay(self, base: str, tip: str, onto: str) -> str | None:
        """The commits of a first-parent line from `base` to `tip`, brought onto another commit; None when they collide.

        Each keeps its message, its date and its other parents, so that the line reads as if it had started there. What
        changes nothing there is left out.
        """
        listed = await self._hub.run(["rev-list", "--first-parent", "--reverse", "--parents", f"{base}..{tip}"])
        current = _Commit(onto, await self._hub.tree_of(onto))
        for line in listed.text.splitlines():
            commit, parent, *others = line.split()
            # git 2.39's merge-tree takes no merge base: a commit of our tree on the old parent has that parent as base.
            stand_in = await self._hub.commit_tree(current.tree, [parent], "stand-in", {}, date="@0 +0000")
            merged = await self._hub.run(
                ["merge-tree", "--write-tree", "-z", "--no-messages", stand_in, commit],
                config=MERGE_CONFIG,
                accept=frozenset({0, 1}),
            )
            if merged.status == 1:
                return None
            tree, _ = parse_merge(merged.fields)
            if tree == current.tree:  # it is there already: a part of the line has landed before
                continue
            message = (await self._hub.run(["log", "-1", "--no-show-signature", "--format=%B", commit])).text
            date = await self._date(commit)
            current = _Commit(await self._hub.commit_tree(tree, [current.id, *others], message, {}, date=date), tree)
        return current.id

    async def _merge(self, onto: _Commit, contribution: Contribution) -> _Merge:
        key = (onto.id, contribution)
        if key not in self._merges:
            self._merges[key] = await self._compute(onto, contribution)
        return self._merges[key]

    async def _compute(self, onto: _Commit, contribution: Contribution) -> _Merge:
        merged = await self._hub.run(
            ["merge-tree", "--write-tree", "-z", "--no-messages", onto.id, contribution.commit],
            config=MERGE_CONFIG,
            accept=frozenset({0, 1}),
        )
        tree, files = parse_merge(merged.fields)
        if merged.status == 1:
            return _Merge(None, files)
        if tree == onto.tree:
            return _Merge(onto)
        date = contribution.date or await self._date(contribution.commit)
        trailers = {
            "Graftline-Run": self._run_id,
            "Graftline-Task": contribution.task_id,
            "Graftline-Attempt": str(contribution.attempt),
        }
        message = commit_message(contribution.title or contribution.task_id, trailers)
        commit = await self._hub.commit_tree(tree, [onto.id, contribution.commit], message, {}, date=date)
        return _Merge(_Commit(commit, tree), step=Step(contribution.task_id, tree, message, date))

    async def _date(self, commit: str) -> str:
        """The committer date of a commit; a commit an agent made may hold nonsense, which becomes the epoch."""
        shown = await self._hub.run(["log", "-1", "--no-show-signature", "--format=%ct", commit])
        return f"@{shown.text} +0000" if shown.text.isdecimal() else "@0 +0000"

    async def _conflict(self, base: str, line: _Line, contribution: Contribution, files: tuple[str, ...]) -> Conflict:
        """Name the integrated tasks that touched the colliding files; the target when only it can have."""
        owners: set[str] = set()
        unclaimed = False
        touched = {task: await self._hub.changed_paths(before, after) for task, before, after in line.tips}
        for file in files:
            of_file = {task for task, paths in touched.items() if any(_collide(path, file) for path in paths)}
            owners |= of_file
            unclaimed = unclaimed or not of_file
        names = tuple(task for task in line.merged if task in owners)
        if not unclaimed:
            return Conflict(contribution.task_id, names, files)
        if await self._hub.is_ancestor(base, contribution.commit):
            # The target did not move, so some task did it under another name: a rename. All earlier ones are suspects.
            return Conflict(contribution.task_id, tuple(task for task, _, _ in line.tips), files)
        return Conflict(contribution.task_id, (*names, THE_TARGET), files)


def parse_merge(fields: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The tree and the colliding paths from the fields of `merge-tree --write-tree -z --no-messages`."""
    tree, *entries = fields
    return tree, tuple(sorted({entry.partition("\t")[2] for entry in entries}))


def _collide(path: str, other: str) -> bool:
    """Whether two paths cannot both change freely: the same one, or one a folder above the other."""
    return path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/")


def _predecessors(task_id: str, depends_on: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Everything a task depends on, through any number of tasks, also ones that contribute nothing themselves."""
    found: set[str] = set()
    waiting = list(depends_on.get(task_id, ()))
    while waiting:
        task = waiting.pop()
        if task not in found:
            found.add(task)
            waiting += depends_on.get(task, ())
    return found
