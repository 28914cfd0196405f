"""Acceptance tests are sealed: what an agent does to them is undone, and said."""

from collections.abc import Mapping
from dataclasses import replace

from graftline.git.trees import restore_files
from graftline.git.worktrees import Work
from graftline.run import Run


async def undo_sealed_edits(run: Run, work: Work, base: str, trailers: Mapping[str, str]) -> Work:
    """The work with every acceptance test of the plan as it was in `base`; one that was not there goes."""
    sealed = {path for spec in run.plan.tasks for path in spec.acceptance}
    touched = tuple(path for path in work.paths if path in sealed)
    if work.commit is None or not touched:
        return work
    tree = await restore_files(run.hub, work.commit, touched, base)
    paths = await run.hub.changed_paths(base, tree)
    message = "Restore the sealed acceptance tests"
    commit = await run.hub.commit_tree(tree, [work.commit], message, trailers) if paths else None
    note = f"changed sealed acceptance tests, which was undone: {', '.join(touched)}"
    return replace(work, commit=commit, tree=tree, paths=paths, notes=(*work.notes, note))
