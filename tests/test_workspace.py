"""A worktree made ready to work in."""

from graftline.workspace import cut_workspace
from tests.pipeline import Project, task, write


async def test_what_a_killed_run_left_in_the_place_of_a_worktree_is_set_aside(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {"a": [write("a.txt")]})
    path = run.folder.worktree("a", 1)
    for number in (1, 2):
        path.mkdir(parents=True, exist_ok=True)
        (path / "unsaved.txt").write_text(f"work {number}")
        worktree = await cut_workspace(run, run.base, path=path, branch="a")
        assert (worktree.path / ".git").is_dir()
        assert (path.with_name(f"{path.name}.left-{number}") / "unsaved.txt").read_text() == f"work {number}"
