"""Worktrees go at the end of a run, but never pile up."""

from graftline.git.worktrees import Worktree
from graftline.preflight import RETIRED_BYTES
from graftline.retirement import remove_retired, retire
from graftline.run import Run
from graftline.workspace import cut_workspace
from tests.pipeline import Project, task, write


async def cut(run: Run, number: int) -> Worktree:
    return await cut_workspace(run, run.base, path=run.folder.worktree("a", number), branch="a")


async def test_a_worktree_waits_for_the_end_of_the_run_unless_it_holds_more_than_the_repository(
    offline_project: Project,
) -> None:
    run = await offline_project.open([task("a")], {"a": [write("a.txt")]})
    bare, full = await cut(run, 1), await cut(run, 2)
    await retire(run, bare, may_wait=True)
    await retire(run, full, may_wait=False)
    assert (bare.path.exists(), full.path.exists()) == (True, False)
    await remove_retired(run)
    assert list(run.folder.worktrees.iterdir()) == []


async def test_the_oldest_goes_when_those_that_wait_take_too_much_room(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {"a": [write("a.txt")]})
    run.tree_bytes = RETIRED_BYTES // 2
    worktrees = [await cut(run, number) for number in (1, 2, 3)]
    for worktree in worktrees:
        await retire(run, worktree, may_wait=True)
    assert [worktree.path.exists() for worktree in worktrees] == [False, True, True]
