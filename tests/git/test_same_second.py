"""An edit that keeps a file's size, made in the second in which the worktree was cut, is work like any other.

Git as it is usually built compares times by the second, and looks at the content only of files that are as young as the
index. A copy of the index that is younger than the index would hide such an edit.
"""

from pathlib import Path
from time import time

import anyio

from graftline.git.hub import open_hub
from graftline.git.repository import open_repository
from graftline.git.worktrees import collect_work, cut_worktree
from tests.conftest import MakeRepository, run_git


async def test_an_edit_of_the_same_size_in_the_same_second_is_not_lost(
    make_repository: MakeRepository, tmp_path: Path
) -> None:
    folder = make_repository({"notes.txt": "three\n"})
    repository = open_repository(folder)
    hub = await open_hub(repository, tmp_path / "store")
    commit = run_git(folder, "rev-parse", "HEAD")
    await hub.fetch_base(repository, "run", commit)
    for number in range(20):
        worktree = await cut_worktree(
            hub,
            commit,
            path=tmp_path / f"worktree-{number}",
            branch="task",
            target="main",
            repository=repository,
            include_file=".worktreeinclude",
        )
        file = worktree.path / "notes.txt"
        cut = file.stat().st_mtime
        file.write_text("trois\n")
        if int(file.stat().st_mtime) == int(cut):
            break
    while int(time()) == int(cut):  # the second has to be over, which is what the test is about
        await anyio.sleep(0.01)  # noqa: ASYNC110 - it is the clock that is waited for

    assert run_git(worktree.path, "status", "--porcelain") == "M notes.txt", "the agent's own git sees it, too"
    work = await collect_work(hub, worktree, message="edit", trailers={})
    assert work.paths == ("notes.txt",)
