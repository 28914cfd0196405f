"""What counts as being in the user's repository: what a branch or a tag there leads to."""

from collections.abc import Callable
from pathlib import Path

from graftline.git.repository import open_repository
from graftline.git.whereabouts import kept_commits

UserGit = Callable[..., str]


def test_branches_tags_and_tracked_remotes_keep_work_and_a_stash_a_reflog_or_a_loose_object_do_not(
    make_repository: Callable[..., Path], user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "one\n"})

    def commit(name: str) -> str:
        user_git(path, "commit", "--quiet", "--allow-empty", "-m", name)
        return user_git(path, "rev-parse", "HEAD")

    below = commit("below the tip")
    tip = commit("tip")
    user_git(path, "switch", "--quiet", "--detach")
    tagged = commit("tagged")
    user_git(path, "tag", "-a", "v1", "-m", "v1")
    tracked = commit("tracked")
    user_git(path, "update-ref", "refs/remotes/origin/main", tracked)
    only_in_the_reflog = commit("reset away")
    (path / "a.txt").write_text("two\n")
    user_git(path, "stash", "--quiet")
    stashed = user_git(path, "rev-parse", "refs/stash")
    user_git(path, "switch", "--quiet", "main")
    blob = user_git(path, "rev-parse", "HEAD:a.txt")
    repository = open_repository(path)

    asked = [below, tip, tagged, tracked, only_in_the_reflog, stashed, blob, "1" * 40]
    assert kept_commits(repository, asked) == {below, tip, tagged, tracked}
    assert kept_commits(repository, ["1" * 40]) == kept_commits(repository, []) == frozenset()
