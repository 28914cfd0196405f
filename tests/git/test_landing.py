"""Landing: the target moves cleanly or not at all, and the result is never lost."""

import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from graftline.errors import RepositoryError
from graftline.git.hub import Hub
from graftline.git.landing import LandingResult, check_result_branch, land
from graftline.git.merging import Contribution, Merger
from graftline.git.repository import Repository, Target, open_repository, resolve_target
from graftline.git.worktrees import Worktree, collect_work, remove_worktree

Scene = tuple[Repository, Hub, Target]
OpenScene = Callable[[Path], Awaitable[Scene]]
Cut = Callable[..., Awaitable[Worktree]]
MakeRepository = Callable[..., Path]
UserGit = Callable[..., str]
Seal = Callable[[Path], dict[str, str]]
BRANCH = "graftline/run"


async def work_on(scene: Scene, cut: Cut, files: dict[str, str], *, task: str = "a") -> str:
    """An integrated commit with these files changed."""
    _, hub, target = scene
    worktree = await cut(scene, task)
    for path, content in files.items():
        (worktree.path / path).parent.mkdir(parents=True, exist_ok=True)
        (worktree.path / path).write_text(content)
    work = await collect_work(hub, worktree, message="Do it", trailers={})
    await remove_worktree(worktree)
    assert work.commit is not None
    contribution = Contribution(task, work.commit, "Do it", 1)
    return (await Merger(hub, "run1").fold(target.commit, [contribution], depends_on={})).commit


async def landing(scene: Scene, commit: str, *, mode: str = "auto") -> LandingResult:
    repository, hub, target = scene
    if mode == "auto":
        return await land(repository, hub, target=target, commit=commit, mode="auto", result_branch=BRANCH)
    return await land(repository, hub, target=target, commit=commit, mode="branch", result_branch=BRANCH)


def take(result: LandingResult) -> None:
    """Type the command a person is given."""
    subprocess.run(result.command, shell=True, check=True, capture_output=True)  # noqa: S602 (as a person would)


async def test_a_clean_checkout_moves_with_its_files_and_nothing_else(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, seal: Seal
) -> None:
    path = make_repository({"a.txt": "1\n", "same.txt": "s\n"})
    (path / "untracked.txt").write_text("mine\n")
    scene = await open_scene(path)
    commit = await work_on(scene, cut, {"a.txt": "2\n", "d/new.txt": "n\n"})
    before = seal(path)
    result = await landing(scene, commit)
    assert result == LandingResult(True, commit, None, f"main in {path} is now at {commit[:12]}", "", False)
    assert user_git(path, "status", "--porcelain") == "?? untracked.txt"
    assert ((path / "a.txt").read_text(), (path / "d" / "new.txt").read_text()) == ("2\n", "n\n")
    after = seal(path)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    inside = {str(Path(name).relative_to(path)) for name in changed if name.startswith("/")}
    git_side = {name for name in inside if name.startswith(".git/") and not name.startswith(".git/objects/")}
    assert git_side <= {
        ".git/ORIG_HEAD",
        ".git/index",
        ".git/logs/HEAD",
        ".git/logs/refs/heads/main",
        ".git/refs/heads/main",
    }
    assert {name for name in inside if not name.startswith(".git/")} == {"a.txt", "d", "d/new.txt"}
    assert changed - inside - {str(path / name) for name in inside} == {"status", "for-each-ref"}
    assert user_git(path, "rev-parse", "HEAD^1") == scene[2].commit


async def test_a_branch_that_is_not_checked_out_moves_by_its_ref(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"})
    scene = await open_scene(path)
    user_git(path, "switch", "-qc", "elsewhere")
    (path / "a.txt").write_text("dirty, but of another branch\n")
    commit = await work_on(scene, cut, {"a.txt": "2\n"})
    result = await landing(scene, commit)
    assert (result.landed, user_git(path, "rev-parse", "main")) == (True, commit)
    assert (path / "a.txt").read_text() == "dirty, but of another branch\n"
    assert user_git(path, "rev-parse", "elsewhere") == scene[2].commit


async def test_a_checkout_in_another_worktree_moves_there(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, tmp_path: Path
) -> None:
    path = make_repository({"a.txt": "1\n"})
    scene = await open_scene(path)
    user_git(path, "switch", "-qc", "elsewhere")
    user_git(path, "worktree", "add", "-q", str(tmp_path / "other place"), "main")
    commit = await work_on(scene, cut, {"a.txt": "2\n"})
    result = await landing(scene, commit)
    assert result.landed
    assert (tmp_path / "other place" / "a.txt").read_text() == "2\n"
    assert user_git(tmp_path / "other place", "status", "--porcelain") == ""
    assert (path / "a.txt").read_text() == "1\n"


async def test_a_run_started_in_a_linked_worktree_lands_there(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, tmp_path: Path
) -> None:
    path = make_repository({"a.txt": "1\n"})
    user_git(path, "worktree", "add", "-q", "-b", "feature", str(tmp_path / "linked"))
    scene = await open_scene(tmp_path / "linked")
    assert scene[2].branch == "feature"
    commit = await work_on(scene, cut, {"a.txt": "2\n"})
    assert (await landing(scene, commit)).landed
    assert (tmp_path / "linked" / "a.txt").read_text() == "2\n"
    assert user_git(path, "rev-parse", "main") == scene[2].commit


def make_dirty(path: Path, _: UserGit) -> str:
    (path / "b.txt").write_text("dirty\n")
    return "has uncommitted changes (b.txt)"


def stage_something(path: Path, git: UserGit) -> str:
    (path / "staged.txt").write_text("x\n")
    git(path, "add", "staged.txt")
    return "has uncommitted changes (staged.txt)"


def put_untracked_in_the_way(path: Path, _: UserGit) -> str:
    (path / "new.txt").write_text("mine\n")
    return "git refused"


def put_ignored_in_the_way(path: Path, _: UserGit) -> str:
    (path / ".git" / "info" / "exclude").write_text("new.txt\n")
    (path / "new.txt").write_text("mine\n")
    return "git refused"


def begin_a_merge(path: Path, git: UserGit) -> str:
    git(path, "branch", "side")
    head = git(path, "rev-parse", "HEAD")
    (path / ".git" / "MERGE_HEAD").write_text(f"{head}\n")
    return "has an unfinished merge"


def lock_the_index(path: Path, _: UserGit) -> str:
    (path / ".git" / "index.lock").touch()
    return "git refused"


def bisect(path: Path, git: UserGit) -> str:
    git(path, "bisect", "start")
    return "has an unfinished bisect"


def rebase(path: Path, git: UserGit) -> str:
    git(path, "-c", "sequence.editor=sed -i 1ibreak", "rebase", "-q", "-i", "--root")
    return "has an unfinished rebase"


def check_out_twice(path: Path, git: UserGit) -> str:
    git(path, "worktree", "add", "-q", "--force", str(path.parent / "twice"), "main")
    return "is checked out in 2 places"


def lose_the_checkout(path: Path, git: UserGit) -> str:
    git(path, "switch", "-qc", "elsewhere")
    git(path, "worktree", "add", "-q", str(path.parent / "lost"), "main")
    shutil.rmtree(path.parent / "lost")
    return "cannot be read"


HINDRANCES = [
    make_dirty,
    stage_something,
    put_untracked_in_the_way,
    put_ignored_in_the_way,
    begin_a_merge,
    lock_the_index,
    bisect,
    rebase,
    check_out_twice,
    lose_the_checkout,
]


@pytest.mark.parametrize("hinder", HINDRANCES, ids=lambda hinder: hinder.__name__)
async def test_on_any_doubt_nothing_moves_and_the_result_waits_on_its_branch(
    make_repository: MakeRepository,
    open_scene: OpenScene,
    cut: Cut,
    user_git: UserGit,
    seal: Seal,
    hinder: Callable[[Path, UserGit], str],
) -> None:
    path = make_repository({"a.txt": "1\n", "b.txt": "1\n"})
    scene = await open_scene(path)
    commit = await work_on(scene, cut, {"a.txt": "2\n", "new.txt": "theirs\n"})
    reason = hinder(path, user_git)
    before = seal(path)
    result = await landing(scene, commit)
    assert (result.landed, result.moved, result.branch) == (False, False, BRANCH)
    assert result.message.startswith(f"the result is on branch {BRANCH}: ")
    assert reason in result.message
    assert user_git(path, "rev-parse", BRANCH) == commit
    after = seal(path)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    ours = (".git/objects", ".git/refs/heads/graftline", ".git/logs/refs/heads/graftline", ".git/ORIG_HEAD")
    assert {name for name in changed if not name.startswith(tuple(str(path / place) for place in ours))} == {
        "for-each-ref"
    }


async def test_the_printed_command_takes_the_result(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"}, name="a repository with spaces")
    scene = await open_scene(path)
    commit = await work_on(scene, cut, {"a.txt": "2\n"})
    result = await landing(scene, commit, mode="branch")
    assert (result.landed, result.branch) == (False, BRANCH)
    assert user_git(path, "rev-parse", "main") == scene[2].commit
    take(result)
    assert user_git(path, "rev-parse", "main") == commit
    assert (path / "a.txt").read_text() == "2\n"


async def test_the_printed_command_takes_the_result_of_a_branch_elsewhere(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"})
    scene = await open_scene(path)
    user_git(path, "switch", "-qc", "elsewhere")
    commit = await work_on(scene, cut, {"a.txt": "2\n"})
    take(await landing(scene, commit, mode="branch"))
    assert user_git(path, "rev-parse", "main") == commit


@pytest.mark.parametrize("checked_out", [True, False])
async def test_the_printed_command_merges_when_the_target_has_moved_on(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, *, checked_out: bool
) -> None:
    path = make_repository({"a.txt": "1\n"})
    scene = await open_scene(path)
    commit = await work_on(scene, cut, {"a.txt": "2\n"})
    user_git(path, "commit", "-q", "--allow-empty", "-m", "meanwhile")
    if not checked_out:
        user_git(path, "switch", "-qc", "elsewhere")
    take(await landing(scene, commit, mode="branch"))
    assert user_git(path, "merge-base", "main", commit) == commit
    assert (path / "a.txt").read_text() == "2\n"


async def test_a_moved_target_is_reported_and_nothing_is_done(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"})
    scene = await open_scene(path)
    commit = await work_on(scene, cut, {"a.txt": "2\n"})
    user_git(path, "commit", "-q", "--allow-empty", "-m", "meanwhile")
    tip = user_git(path, "rev-parse", "main")
    result = await landing(scene, commit)
    assert (result.landed, result.moved, result.branch, result.command) == (False, True, None, "")
    assert user_git(path, "for-each-ref", "--format=%(objectname) %(refname)") == f"{tip} refs/heads/main"


async def test_after_a_move_the_merge_redone_onto_it_lands(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"})
    repository, hub, _ = scene = await open_scene(path)
    commit = await work_on(scene, cut, {"a.txt": "2\n"})
    work = await hub.resolve(f"{commit}^2") or ""
    (path / "b.txt").write_text("meanwhile\n")
    user_git(path, "add", "b.txt")
    user_git(path, "commit", "-qm", "meanwhile")
    target = resolve_target(repository, "main")
    await hub.fetch_base(repository, "run1", target.commit)
    again = await Merger(hub, "run1").fold(target.commit, [Contribution("a", work, "A", 1)], depends_on={})
    result = await landing((repository, hub, target), again.commit)
    assert result.landed
    assert (path / "a.txt").read_text() == "2\n"
    assert (path / "b.txt").read_text() == "meanwhile\n"


async def test_landing_twice_is_landing_once(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"})
    scene = await open_scene(path)
    commit = await work_on(scene, cut, {"a.txt": "2\n"})
    assert (await landing(scene, commit)).landed
    result = await landing(scene, commit)
    assert (result.landed, result.message) == (True, f"main contains {commit[:12]} already")
    assert user_git(path, "rev-parse", "main") == commit


async def test_a_later_landing_removes_the_branch_an_earlier_one_left(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"})
    scene = await open_scene(path)
    first = await work_on(scene, cut, {"a.txt": "2\n"})
    second = await work_on(scene, cut, {"a.txt": "3\n"}, task="b")
    for commit in (first, second):  # a better result replaces our earlier one
        assert (await landing(scene, commit, mode="branch")).branch == BRANCH
    assert user_git(path, "rev-parse", BRANCH) == second
    assert (await landing(scene, second)).landed
    assert user_git(path, "branch", "--list", "--format=%(refname:short)") == "main"


async def test_a_branch_somebody_works_on_is_neither_moved_nor_removed(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"})
    scene = await open_scene(path)
    first = await work_on(scene, cut, {"a.txt": "2\n"})
    second = await work_on(scene, cut, {"a.txt": "3\n"}, task="b")
    await landing(scene, first, mode="branch")
    user_git(path, "switch", "-q", BRANCH)
    user_git(path, "commit", "-q", "--allow-empty", "-m", "a person goes on")
    theirs = user_git(path, "rev-parse", "HEAD")
    user_git(path, "switch", "-q", "main")
    result = await landing(scene, second, mode="branch")
    assert result.branch == f"{BRANCH}-2"
    assert (await landing(scene, second)).landed
    assert user_git(path, "rev-parse", BRANCH) == theirs


async def test_a_commit_off_the_targets_line_never_lands(
    make_repository: MakeRepository, open_scene: OpenScene, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"})
    scene = await open_scene(path)
    _, hub, target = scene
    stray = await hub.commit_tree(await hub.tree_of(target.commit), [], "stray", {})
    result = await landing(scene, stray)
    assert (result.landed, result.branch) == (False, BRANCH)
    assert "does not descend from main" in result.message
    assert user_git(path, "rev-parse", "main") == target.commit


async def test_two_landings_at_once_are_one_after_the_other(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"})
    scene = await open_scene(path)
    commits = [await work_on(scene, cut, {f"{name}.txt": "x\n"}, task=name) for name in ("one", "two")]
    results: list[LandingResult] = []

    async def one(commit: str) -> None:
        results.append(await landing(scene, commit))

    async with anyio.create_task_group() as group:
        for commit in commits:
            group.start_soon(one, commit)
    assert sorted((result.landed, result.moved) for result in results) == [(False, True), (True, False)]
    assert user_git(path, "status", "--porcelain") == ""
    assert user_git(path, "rev-parse", "main") in commits


async def test_the_users_hooks_are_not_run_by_a_landing(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, tmp_path: Path
) -> None:
    path = make_repository({"a.txt": "1\n"})
    hooks = path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-merge", "post-checkout", "reference-transaction", "post-index-change", "pre-merge-commit"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
        (hooks / name).chmod(0o755)
    scene = await open_scene(path)
    assert (await landing(scene, await work_on(scene, cut, {"a.txt": "2\n"}))).landed
    assert not (tmp_path / "ran").exists()


async def test_every_kind_of_file_survives_the_way_from_worktree_to_checkout(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"text.txt": "1\r\n2\r\n", "tool": "#!/bin/sh\n"})
    user_git(path, "config", "core.autocrlf", "true")
    user_git(path, "add", "--renormalize", ".")
    (path / "tool").chmod(0o755)
    (path / "link").symlink_to("text.txt")
    user_git(path, "add", "-A")
    user_git(path, "commit", "-qm", "all kinds")
    _, hub, target = scene = await open_scene(path)
    worktree = await cut(scene, "a")
    assert (worktree.path / "link").readlink() == Path("text.txt")
    assert (worktree.path / "tool").stat().st_mode & 0o111
    (worktree.path / "text.txt").write_bytes(b"1\r\n2\r\n3\r\n")
    (worktree.path / "tool").chmod(0o644)
    (worktree.path / "naïve name.sh").write_text("#!/bin/sh\r\n")
    (worktree.path / "naïve name.sh").chmod(0o755)
    (worktree.path / "link").unlink()
    (worktree.path / "link").symlink_to("naïve name.sh")
    (worktree.path / "data.bin").write_bytes(b"\0\r\n\n")
    work = await collect_work(hub, worktree, message="Do it", trailers={})
    contribution = Contribution("a", work.commit or "", "Do it", 1)
    integration = await Merger(hub, "run1").fold(target.commit, [contribution], depends_on={})
    assert (await landing(scene, integration.commit)).landed
    assert (path / "text.txt").read_bytes() == b"1\r\n2\r\n3\r\n"
    assert (path / "data.bin").read_bytes() == b"\0\r\n\n"
    assert (path / "link").readlink() == Path("naïve name.sh")
    assert (path / "naïve name.sh").stat().st_mode & 0o111
    assert not (path / "tool").stat().st_mode & 0o111
    assert user_git(path, "status", "--porcelain") == ""
    assert user_git(path, "cat-file", "-s", "HEAD:text.txt") == "6"


async def test_a_shallow_clone_runs_and_lands(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit, tmp_path: Path
) -> None:
    origin = make_repository({"a.txt": "1\n"})
    user_git(origin, "commit", "-q", "--allow-empty", "-m", "second")
    user_git(tmp_path, "clone", "-q", "--depth=1", f"file://{origin}", "shallow")
    scene = await open_scene(tmp_path / "shallow")
    commit = await work_on(scene, cut, {"a.txt": "2\n"})
    assert (await landing(scene, commit)).landed
    assert (tmp_path / "shallow" / "a.txt").read_text() == "2\n"


@pytest.mark.parametrize(
    ("existing", "wanted"),
    [
        ("graftline/run", "graftline/run"),
        ("graftline", "graftline/run"),
        ("graftline/run/more", "graftline/run"),
        ("Graftline/RUN", "graftline/run"),
    ],
)
async def test_a_branch_in_the_way_is_named(
    make_repository: MakeRepository, user_git: UserGit, existing: str, wanted: str
) -> None:
    path = make_repository()
    repository = open_repository(path)
    await check_result_branch(repository, wanted)
    user_git(path, "branch", existing)
    with pytest.raises(RepositoryError, match=f"branch '{existing}' of .* is in the way of .*'{wanted}'"):
        await check_result_branch(repository, wanted)


@pytest.mark.parametrize("name", ["a..b", "with space/x", "x.lock", "-x", "x/", ""])
async def test_a_name_git_refuses_is_said(make_repository: MakeRepository, name: str) -> None:
    with pytest.raises(RepositoryError, match="not a branch name"):
        await check_result_branch(open_repository(make_repository()), name)


async def test_our_own_earlier_branch_is_not_in_the_way_until_somebody_moves_it(
    make_repository: MakeRepository, open_scene: OpenScene, cut: Cut, user_git: UserGit
) -> None:
    path = make_repository({"a.txt": "1\n"})
    repository, hub, _ = scene = await open_scene(path)
    await landing(scene, await work_on(scene, cut, {"a.txt": "2\n"}), mode="branch")
    await check_result_branch(repository, BRANCH, hub)
    user_git(path, "branch", "-f", BRANCH, "main")
    with pytest.raises(RepositoryError, match="exists already"):
        await check_result_branch(repository, BRANCH, hub)
