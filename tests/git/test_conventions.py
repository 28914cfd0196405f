"""What of the user's settings holds in the hub, and what must never take part."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from graftline.git.conventions import BUILT_IN_IGNORES, Identity, read_conventions
from graftline.git.hub import Hub
from graftline.git.merging import Contribution, Merger
from graftline.git.repository import Repository, Target, open_repository
from graftline.git.worktrees import Worktree, collect_work

Scene = tuple[Repository, Hub, Target]
OpenScene = Callable[[Path], Awaitable[Scene]]
Cut = Callable[..., Awaitable[Worktree]]
MakeRepository = Callable[..., Path]
UserGit = Callable[..., str]


def test_only_listed_settings_are_taken_over(make_repository: MakeRepository, user_git: UserGit) -> None:
    path = make_repository()
    for key, value in (("core.autocrlf", "input"), ("core.hooksPath", "/evil"), ("merge.default", "evil")):
        user_git(path, "config", key, value)
    user_git(path, "config", "--global", "core.eol", "crlf")
    user_git(path, "config", "--global", "core.autocrlf", "true")  # the repository's own wins
    conventions = read_conventions(open_repository(path))
    assert conventions.config == {"core.autocrlf": "input", "core.eol": "crlf", "core.filemode": "true"}


def test_ignore_rules_come_from_every_place_git_reads(
    make_repository: MakeRepository, user_git: UserGit, isolated_environment: Path
) -> None:
    path = make_repository()
    (isolated_environment / "my-ignores").write_text("*.swp")
    user_git(path, "config", "--global", "core.excludesFile", "~/my-ignores")
    (path / ".git" / "info" / "exclude").write_text("# mine\nnotes/\n")
    conventions = read_conventions(open_repository(path))
    assert conventions.ignores == "".join(f"{pattern}\n" for pattern in BUILT_IN_IGNORES) + "*.swp\n"
    assert conventions.private_ignores == "# mine\nnotes/\n"


def test_attributes_that_decide_merges_or_run_filters_stay_out(make_repository: MakeRepository) -> None:
    path = make_repository()
    (path / ".git" / "info" / "attributes").write_text(
        '# comment\n*.txt text eol=crlf merge=union filter=x\n"with space" -text diff=x\n*.lock merge=ours\n'
        "[attr]m text\n"
    )
    assert read_conventions(open_repository(path)).private_attributes == '*.txt text eol=crlf\n"with space" -text\n'


def test_authors_and_committers_of_the_configuration_are_kept_apart(
    make_repository: MakeRepository, user_git: UserGit
) -> None:
    path = make_repository()
    user_git(path, "config", "user.name", "Local Ünser")
    user_git(path, "config", "committer.email", "bot@example.com")
    conventions = read_conventions(open_repository(path))
    assert conventions.author == Identity("Local Ünser", "test@example.com")
    assert conventions.committer == Identity("Local Ünser", "bot@example.com")


@pytest.mark.parametrize("where", ["attributes", "global driver"])
async def test_no_merge_settings_of_the_user_decide_a_merge(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, tmp_path: Path, where: str
) -> None:
    path = make_repository({"log.md": "# Log\n"})
    if where == "attributes":
        (path / ".git" / "info" / "attributes").write_text("* merge=union\n")
    else:
        user_git(path, "config", "--global", "merge.default", "mine")
        user_git(path, "config", "--global", "merge.mine.driver", f"touch {tmp_path / 'ran'}; true")
    scene = await open_scene(path)
    contributions = []
    for task in ("one", "two"):
        worktree = await cut(scene, task)
        (worktree.path / "log.md").write_text(f"# Log\n- {task}\n")
        work = await collect_work(scene[1], worktree, message=task, trailers={})
        contributions.append(Contribution(task, work.commit or "", task, 1))
    integration = await Merger(scene[1], "run1").fold(scene[2].commit, contributions, depends_on={})
    assert [conflict.task for conflict in integration.conflicts] == ["two"]
    assert not (tmp_path / "ran").exists()
