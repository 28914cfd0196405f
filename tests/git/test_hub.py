"""The hub: apart from the user's repository, shared by runs, correct about refs and commits."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from graftline.errors import GitFailedError
from graftline.git.hub import Hub, commit_message, open_hub
from graftline.git.repository import Repository, Target, open_repository

Scene = tuple[Repository, Hub, Target]
OpenScene = Callable[[Path], Awaitable[Scene]]
MakeRepository = Callable[..., Path]
UserGit = Callable[..., str]


async def test_the_hub_has_the_base_and_tags_but_no_branches_and_no_way_back(
    make_repository: MakeRepository, open_scene: OpenScene, user_git: UserGit
) -> None:
    path = make_repository()
    user_git(path, "tag", "v1")
    user_git(path, "branch", "feature/x")
    _, hub, target = await open_scene(path)
    refs = await hub.refs("refs")
    assert refs == {
        "refs/graftline/run1/base": target.commit,
        "refs/seed/feature/x": target.commit,
        "refs/seed/main": target.commit,
        "refs/tags/v1": target.commit,
    }
    assert (await hub.run(["remote"])).text == ""
    assert not (hub.git_dir / "objects" / "info" / "alternates").exists()


async def test_a_tag_made_later_comes_with_the_next_base(
    make_repository: MakeRepository, open_scene: OpenScene, user_git: UserGit
) -> None:
    path = make_repository()
    repository, hub, _ = await open_scene(path)
    user_git(path, "commit", "--quiet", "--allow-empty", "-m", "second")
    user_git(path, "tag", "-a", "v2", "-m", "two")
    commit = user_git(path, "rev-parse", "HEAD")
    await hub.fetch_base(repository, "run2", commit)
    assert (await hub.refs("refs/graftline/run2")) == {"refs/graftline/run2/base": commit}
    assert list(await hub.refs("refs/tags")) == ["refs/tags/v2"]


async def test_two_openings_at_once_make_one_hub(make_repository: MakeRepository, tmp_path: Path) -> None:
    repository = open_repository(make_repository())
    hubs: list[Hub] = []

    async def opening() -> None:
        hubs.append(await open_hub(repository, tmp_path / "state"))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(opening)
    assert len(hubs) == 4
    assert hubs[0] == hubs[1] == hubs[2] == hubs[3]
    assert sorted(path.name for path in (tmp_path / "state").iterdir() if "hub.git" in path.name) == ["hub.git"]


async def test_a_hub_left_half_made_is_made_again(make_repository: MakeRepository, tmp_path: Path) -> None:
    (tmp_path / "state" / "hub.git.new" / "objects").mkdir(parents=True)
    hub = await open_hub(open_repository(make_repository()), tmp_path / "state")
    assert list(await hub.refs("refs")) == ["refs/seed/main"]


async def test_the_hub_survives_the_users_gc(
    make_repository: MakeRepository, open_scene: OpenScene, user_git: UserGit
) -> None:
    path = make_repository()
    _, hub, target = await open_scene(path)
    user_git(path, "commit", "--quiet", "--amend", "-m", "rewritten")
    user_git(path, "reflog", "expire", "--expire=now", "--all")
    user_git(path, "gc", "--quiet", "--prune=now")
    assert (await hub.run(["fsck", "--strict", "--connectivity-only"])).status == 0
    assert await hub.resolve(target.commit) == target.commit


async def test_a_repository_that_borrows_objects_gives_a_hub_that_does_not(
    make_repository: MakeRepository, open_scene: OpenScene, user_git: UserGit, tmp_path: Path
) -> None:
    origin = make_repository()
    user_git(tmp_path, "clone", "--quiet", "--shared", str(origin), "borrower")
    _, hub, target = await open_scene(tmp_path / "borrower")
    origin.rename(tmp_path / "gone")
    assert await hub.resolve(target.commit) == target.commit
    assert not (hub.git_dir / "objects" / "info" / "alternates").exists()


async def test_a_ref_is_created_once(make_repository: MakeRepository, open_scene: OpenScene) -> None:
    _, hub, target = await open_scene(make_repository())
    ref = "refs/graftline/run1/task/a/1"
    created: list[bool] = []

    async def create() -> None:
        created.append(await hub.create_ref(ref, target.commit))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(create)
    assert sorted(created) == [False, False, False, False, True]


async def test_a_ref_that_cannot_be_created_is_an_error(make_repository: MakeRepository, open_scene: OpenScene) -> None:
    _, hub, target = await open_scene(make_repository())
    assert await hub.create_ref("refs/graftline/run1/task/a", target.commit)
    with pytest.raises(GitFailedError):
        await hub.create_ref("refs/graftline/run1/task/a/1", target.commit)


async def test_a_ref_moves_only_from_where_it_was_seen(make_repository: MakeRepository, open_scene: OpenScene) -> None:
    _, hub, target = await open_scene(make_repository())
    tree = await hub.tree_of(target.commit)
    first, second = [await hub.commit_tree(tree, [target.commit], text, {}) for text in ("first", "second")]
    ref = "refs/graftline/run1/task/a/1"
    await hub.create_ref(ref, target.commit)
    await hub.update_ref(ref, first, target.commit)
    with pytest.raises(GitFailedError):
        await hub.update_ref(ref, second, target.commit)
    assert await hub.refs("refs/graftline/run1/task") == {ref: first}
    await hub.delete_ref(ref)
    await hub.delete_ref(ref)
    assert await hub.refs("refs/graftline/run1/task") == {}


async def test_commits_are_the_users_and_the_same_input_gives_the_same_commit(
    make_repository: MakeRepository, open_scene: OpenScene
) -> None:
    _, hub, target = await open_scene(make_repository())
    tree = await hub.tree_of(target.commit)
    date = "@1700000000 +0100"
    commits = {await hub.commit_tree(tree, [target.commit], "Title", {"Key": "a"}, date=date) for _ in range(2)}
    assert len(commits) == 1
    shown = await hub.run(["show", "-s", "--format=%an %ae %cn %ce %at %ct %B", commits.pop()])
    who = "Test User test@example.com"
    assert shown.text.strip() == f"{who} {who} 1700000000 1700000000 Title\n\nKey: a"


async def test_without_an_identity_commits_are_graftlines(
    make_repository: MakeRepository, open_scene: OpenScene, isolated_environment: Path
) -> None:
    path = make_repository()
    (isolated_environment / ".gitconfig").write_text("")
    _, hub, _ = await open_scene(path)
    assert (hub.author.name, hub.author.email) == ("graftline", "graftline@localhost")
    assert hub.committer == hub.author


@pytest.mark.parametrize(
    ("message", "trailers", "expected"),
    [
        ("Title", {}, "Title\n"),
        ("Title\n\nBody\n", {"A": "1", "B": "2"}, "Title\n\nBody\n\nA: 1\nB: 2\n"),
        ("  \x1b[31mred\0\r", {"A": "x\n\nB: y"}, "[31mred\n\nA: x B: y\n"),
        ("\n", {}, "(no title)\n"),
    ],
)
def test_messages_hold_their_trailers_and_nothing_that_breaks_them(
    message: str, trailers: dict[str, str], expected: str
) -> None:
    assert commit_message(message, trailers) == expected


async def test_diffs_run_no_command_and_renames_are_two_paths(
    make_repository: MakeRepository, open_scene: OpenScene, user_git: UserGit, tmp_path: Path
) -> None:
    path = make_repository({"old name é.txt": "1\n2\n3\n4\n", ".gitattributes": "*.txt diff=evil\n"})
    marker = tmp_path / "ran"
    user_git(path, "config", "--global", "diff.external", f"touch {marker}")
    user_git(path, "config", "--global", "diff.evil.textconv", f"touch {marker}; cat")
    user_git(path, "mv", "old name é.txt", "new.txt")
    user_git(path, "commit", "--quiet", "-m", "rename")
    _, hub, target = await open_scene(path)
    assert await hub.changed_paths(f"{target.commit}^", target.commit) == ("new.txt", "old name é.txt")
    assert b"rename to new.txt" in await hub.diff(f"{target.commit}^", target.commit)
    assert b"\x1b[" in await hub.diff(f"{target.commit}^", target.commit, color=True)
    assert not marker.exists()


async def test_a_revision_that_looks_like_an_option_is_refused(
    make_repository: MakeRepository, open_scene: OpenScene, tmp_path: Path
) -> None:
    _, hub, target = await open_scene(make_repository())
    with pytest.raises(ValueError, match="not a revision"):
        await hub.diff(f"--output={tmp_path / 'written'}", target.commit)
    assert not (tmp_path / "written").exists()


async def test_the_users_hooks_and_templates_stay_out(
    make_repository: MakeRepository, open_scene: OpenScene, user_git: UserGit, tmp_path: Path
) -> None:
    path = make_repository()
    marker = tmp_path / "ran"
    template = tmp_path / "template" / "hooks"
    template.mkdir(parents=True)
    user_git(path, "config", "--global", "init.templateDir", str(template.parent))
    user_git(path, "config", "--global", "core.hooksPath", str(template))
    for folder in (template, path / ".git" / "hooks"):
        for name in ("reference-transaction", "post-checkout", "post-index-change", "pre-auto-gc"):
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
            (folder / name).chmod(0o755)
    _, hub, target = await open_scene(path)
    await hub.create_ref("refs/graftline/run1/task/a/1", target.commit)
    assert not marker.exists()
    assert not (hub.git_dir / "hooks").exists()


async def test_the_state_folder_is_the_users_alone(make_repository: MakeRepository, open_scene: OpenScene) -> None:
    _, hub, _ = await open_scene(make_repository())
    assert hub.git_dir.parent.stat().st_mode & 0o777 == 0o700


async def test_paths_that_would_not_be_kept_are_told_from_the_others_whatever_they_are_called(
    make_repository: MakeRepository, open_scene: OpenScene, user_git: UserGit
) -> None:
    path = make_repository({".gitignore": "*.log\nout/\n", "src/a.py": "", "src/.gitignore": "!kept.log\n"})
    (path / ".git" / "info" / "exclude").write_text("private\n")
    (path / "link").symlink_to("/etc")
    user_git(path, "add", "link")
    _, hub, _ = await open_scene(path)
    ignored = {"a.log", ":(top)a.log", "--a.log", "out/x", "out/**", "src/*.log", "private/x", "x/__pycache__/y.pyc"}
    others = {"src/kept.log", "src/a.py", "**", "link/a.log", ":!a", "-x", "src", "a.log.txt", "src/a.py/b"}
    assert await hub.ignored_paths(sorted(ignored | others), path) == ignored
    assert await hub.ignored_paths([], path) == frozenset()
