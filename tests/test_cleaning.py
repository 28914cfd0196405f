"""Cleaning up: what ended runs left goes, and work that is nowhere else stays until its task is named."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest

from graftline.cleaning import CleanUp, clean_up, plan_clean_up, tidy_hub
from graftline.cli.app import main
from graftline.errors import RunBusyError, UnknownRunError, UserError
from graftline.git.repository import open_repository
from graftline.git.worktrees import Worktree, collect_work
from graftline.journal import EventKind
from graftline.lease import Lease
from graftline.ledger import Ledger
from graftline.opening import reopen_run
from graftline.records import write_record
from graftline.report.model import RunState
from graftline.run import Run, close_run
from graftline.store import RunFolder, state_directory
from graftline.workspace import cut_workspace
from tests.cli.conftest import ROOT, finish
from tests.leftovers import end_leftovers, processes_in
from tests.pipeline import Built, Project, Script, Tables, edit, fail, runs_flows, task, write
from tests.test_docs import DOCS, names, table
from tests.test_records import record

pytestmark = runs_flows


async def planned(project: Project, built: Built, *discard: str) -> CleanUp:
    """What cleaning up a run would do."""
    return await plan_clean_up(built.folder, discard, open_repository(project.path))


async def cleaned(project: Project, built: Built, *discard: str) -> CleanUp:
    """Clean up a run."""
    return await clean_up(built.folder, discard, open_repository(project.path))


def works(plan: CleanUp) -> list[tuple[str, str]]:
    """The work that is kept: whose it is, and on which ref or in which folder."""
    prefix = f"refs/graftline/{plan.run.id}/"
    return [(work.task, work.path.name if work.path else work.ref.removeprefix(prefix)) for work in plan.kept]


def left(folder: RunFolder) -> list[str]:
    """The files that are left of a run, lease apart."""
    found = (path for root in (folder.path, folder.worktrees) for path in root.rglob("*") if not path.is_dir())
    return sorted(str(path.relative_to(folder.store.folder)) for path in found if path.parent != folder.path)


async def graftline(project: Project, *arguments: str) -> int:
    """A command given in the project."""
    return await asyncio.to_thread(main, [*arguments, "--repository", str(project.path)])


def everything(folder: Path) -> dict[str, bytes | str]:
    """Every file, link and folder below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else "folder" for path in folder.rglob("*")
    }


def check_what_is_documented(folder: RunFolder) -> None:
    """Hold what a run has left on disk against the page that lists it."""
    store = folder.store.folder
    found = set()
    for path in store.rglob("*"):
        if path.is_file() or not any(path.iterdir()):
            name = str(path.relative_to(store)).replace(folder.id, "<run id>")
            name = re.sub(r"/tasks/[^/]+/\d+", "/tasks/<task>/<attempt>", name)
            found.add(re.sub(r"/verify/[^/]+", "/verify/<label>", name) + ("" if path.is_file() else "/"))
    rows = [names([cell]) for cell in table(DOCS / "git.md", "left behind")]

    def is_listed(name: str, places: set[str]) -> bool:
        return any(name == place or (place.endswith("/") and name.startswith(place)) for place in places)

    assert {name for name in found if not any(is_listed(name, places) for places in rows)} == set()
    assert [places for places in rows if not any(is_listed(name, places) for name in found)] == []


async def test_of_a_run_that_landed_nothing_stays_but_the_books(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    built = await project.build([task("a"), task("b", "a")], {"a": [write("a.txt")], "b": [write("b.txt")]})
    assert built.report.state is RunState.LANDED
    check_what_is_documented(built.folder)
    state_dir, spent = state_directory(os.environ), built.account
    before = everything(state_dir), everything(project.path)

    assert await graftline(project, "clean", "--dry-run") == 0
    said = capsys.readouterr().out

    assert (everything(state_dir), everything(project.path)) == before
    assert said.startswith(f"Run {built.report.run}: would remove 4 refs, logs and records (")
    assert len(said.splitlines()) == 1

    assert await graftline(project, "clean") == 0

    assert f"Run {built.report.run}: removed 4 refs, logs and records (" in capsys.readouterr().out
    store = built.folder.store
    assert (list(store.runs.iterdir()), list(store.worktrees.iterdir()), built.refs()) == ([], [], {})
    assert Ledger.open(state_dir).account(built.report.flow_run_id) == spent
    assert {"a.txt", "b.txt"} <= project.files("main")
    assert built.hub("fsck", "--strict", "--no-dangling") == ""
    assert await graftline(project, "clean") == 2
    assert await graftline(project, "clean", built.report.run) == 2
    assert await graftline(project, "clean", "--all") == 0


COLLIDING: Script = {
    "one": [edit("notes.txt", "three", "drei")],
    "two": [edit("notes.txt", "three", "trois")],
    "broken": [write("half.txt"), fail()],
    "empty": [fail()],
}


async def test_failed_and_colliding_work_stays_reachable_until_it_is_taken_or_its_task_is_named(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    built = await project.build([task(name) for name in COLLIDING], COLLIDING)
    run, refs = built.report.run, built.refs()
    assert built.report.state is RunState.PARTIAL

    assert await graftline(project, "clean", run) == 0

    said = capsys.readouterr().out.splitlines()
    salvaged, collided = refs["salvage/broken/1"][:12], refs["task/two/1"][:12]
    assert said[1:7] == [
        "  kept broken: attempt 1, failed: exit status 1: wrote half.txt; "
        f"on no branch or tag of yours: salvage/broken/1 ({salvaged})",
        f"  kept two: attempt 1, succeeded; on no branch or tag of yours: task/two/1 ({collided})",
        f"  look at broken: graftline diff {run} broken",
        f"  discard broken: graftline clean {run} --discard broken",
        f"  look at two: graftline diff {run} two",
        f"  discard two: graftline clean {run} --discard two",
    ]
    assert built.refs().keys() == {"task/two/1", "salvage/broken/1"}
    assert {Path(path).name for path in left(built.folder)} == {"record.json"}
    assert not (await planned(project, built)).is_needed, "once is enough"
    assert await graftline(project, "status", run) == 0
    assert "conflicted" in capsys.readouterr().out
    assert await graftline(project, "diff", run, "broken") == 0
    assert "+content" in capsys.readouterr().out
    again = await project.enter(built.report.flow_run_id)
    assert "was cleaned up" in str(again.state.message), "finished tasks would be paid for twice"
    assert again.refs().keys() == {"task/two/1", "salvage/broken/1"}

    with pytest.raises(UnknownRunError, match="has no task 'nobody'"):
        await planned(project, built, "two", "nobody")
    assert works(await cleaned(project, built, "broken")) == [("two", "task/two/1")]
    assert built.refs().keys() == {"task/two/1"}
    assert await graftline(project, "take", run, "--task", "two", "--branch", "mine") == 0
    assert works(await cleaned(project, built)) == []
    assert (built.refs(), built.folder.path.exists()) == ({}, False)
    assert project.show("notes.txt", "mine").split()[2] == "trois"


async def test_linear_history_contains_what_was_merged_into_it_and_no_failed_attempt(project: Project) -> None:
    script: Script = {"a": {1: [write("half.txt"), fail()], 2: [write("a.txt")]}, "b": [write("b.txt")]}
    settings: Tables = {"git": {"history": "linear"}, "retries": {"max_per_task": 1}}
    base = project.git("rev-parse", "main")
    built = await project.build([task("a"), task("b", "a")], script, settings=settings)
    landed = project.git("rev-parse", "main")
    refs = built.refs()
    assert project.git("rev-list", f"{base}..main").splitlines() != []
    assert refs["task/b/1"] not in project.git("rev-list", "main")

    project.git("reset", "--hard", "--quiet", base)  # the landed commit is only in the reflog now
    plan = await planned(project, built)
    assert works(plan) == [("a", "salvage/a/1"), ("a", "task/a/2"), ("b", "task/b/1")]
    assert plan.refs.keys() == {f"refs/graftline/{plan.run.id}/{ref}" for ref in ("base", "task/a/1")}

    project.git("reset", "--hard", "--quiet", landed)
    assert works(await cleaned(project, built)) == [("a", "salvage/a/1")]
    assert built.refs().keys() == {"salvage/a/1"}
    assert works(await cleaned(project, built, "a")) == []
    assert not built.folder.path.exists()


async def test_a_result_branch_that_was_deleted_keeps_its_work_in_the_hub(project: Project) -> None:
    built = await project.build([task("a")], {"a": [write("a.txt")]}, land="branch")
    branch = built.report.branch
    assert branch is not None
    assert works(await planned(project, built)) == []

    project.git("branch", "-qD", branch)
    assert works(await cleaned(project, built)) == [("a", "task/a/1")]
    await tidy_hub(built.folder.store, open_repository(project.path))

    assert built.refs().keys() == {"task/a/1", "candidate/1"}, "diff and take of the whole result still work"
    assert built.hub("for-each-ref", "refs/results") == ""
    assert works(await cleaned(project, built, "a")) == []
    assert built.hub("for-each-ref", "refs/graftline") == ""


async def ended(project: Project, *tasks: str) -> Run:
    """A run that came to its end without any task having been carried out."""
    run = await project.open([task(name) for name in tasks], {})
    run.journal.append(EventKind.RUN_ENDED, state=RunState.CRASHED, reason="it was ended")
    close_run(run)
    return run


async def attempted(run: Run, name: str, path: Path) -> Path:
    """A worktree of an attempt that has no record: its work was never taken."""
    assert await run.hub.create_ref(run.ref("task", name, 1), run.base)
    run.folder.attempt(name, 1).mkdir(parents=True)
    (run.folder.attempt(name, 1) / "agent.log").write_text("x\n")
    worktree = await cut_workspace(run, run.base, path=path, branch=name)
    (worktree.path / "new.txt").write_text("only here\n")
    return worktree.path


async def test_a_worktree_whose_work_was_never_taken_stays_with_all_it_needs(
    offline_project: Project, tmp_path: Path
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "file").write_text("mine\n")
    run = await ended(offline_project, "a", "verify-something-very-long")
    here = open_repository(offline_project.path)
    worktree = await attempted(run, "a", run.folder.worktree("a", 1))
    long = await attempted(run, "verify-something-very-long", run.folder.worktree("verify-something-very-long", 1))
    (worktree / "link").symlink_to(private)
    (worktree / "closed").mkdir(mode=0o500)
    beside = run.folder.worktrees
    for name in ("a-1.left-1", "a-1.aside", "_verify-candidate", "_verify-base.left-1"):
        (beside / name).mkdir()
        (beside / name / "link").symlink_to(private)
    (beside / "stranger").write_text("x\n")
    before = await run.hub.refs(run.ref())

    plan = await clean_up(run.folder, (), here)

    assert works(plan) == [
        ("verify-something-very-long", long.name),
        ("a", "a-1"),
        ("a", "a-1.aside"),
        ("a", "a-1.left-1"),
        ("", "stranger"),
    ]
    beside_them = {f"{path.name}.{end}" for path in (worktree, long) for end in ("index", "exclude")}
    kept = {long.name, "a-1", "a-1.aside", "a-1.left-1", "stranger"}
    assert {path.name for path in beside.iterdir()} == kept | beside_them
    assert await run.hub.refs(run.ref()) == before, "a worktree borrows the hub's objects"
    assert (worktree / "new.txt").read_text() == "only here\n"
    assert not (run.folder.attempt("a", 1) / "agent.log").exists()

    plan = await clean_up(run.folder, ("a", "verify-something-very-long"), here)

    assert works(plan) == [("", "stranger")]
    assert [path.name for path in beside.iterdir()] == ["stranger"]
    (beside / "stranger").unlink()
    assert works(await clean_up(run.folder, (), here)) == []
    assert not run.folder.path.exists()
    assert (private / "file").read_text() == "mine\n"


async def test_a_worktree_goes_when_the_work_in_its_record_is_on_a_ref_and_not_before(
    offline_project: Project,
) -> None:
    run = await ended(offline_project, "a")
    here = open_repository(offline_project.path)
    path = await attempted(run, "a", run.folder.worktree("a", 1))
    work = await collect_work(run.hub, Worktree.at(path, run.base), message="a", trailers={})
    assert work.commit is not None
    write_record(run.folder.attempt("a", 1), record(base=run.base, commit=work.commit))

    assert works(await clean_up(run.folder, (), here)) == [("a", "a-1")]
    await run.hub.update_ref(run.ref("task", "a", 1), work.commit)
    assert works(await clean_up(run.folder, (), here)) == [("a", "task/a/1")]
    assert not run.folder.worktrees.exists()
    offline_project.git("fetch", "-q", str(run.hub.git_dir), f"{work.commit}:refs/tags/taken")
    assert works(await clean_up(run.folder, (), here)) == []


async def test_a_run_that_is_going_on_is_not_touched_and_one_that_was_killed_is_looked_after_first(
    offline_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    here = open_repository(offline_project.path)
    killed = await offline_project.open([task("a")], {})
    close_run(killed)
    busy = await ended(offline_project, "b")
    lease = await Lease.acquire(busy.folder.path)  # somebody entered it again
    before = everything(busy.folder.store.folder)

    with pytest.raises(RunBusyError, match="is going on"):
        await clean_up(busy.folder, ("b",), here)
    with pytest.raises(RunBusyError, match="it was killed"):
        await clean_up(killed.folder, (), here)
    assert await graftline(offline_project, "clean", "--all", "--dry-run") == 0
    assert capsys.readouterr().out.count("is left alone") == 2
    assert everything(busy.folder.store.folder) == before

    before = everything(busy.folder.path)
    assert await graftline(offline_project, "clean", "--all") == 0
    said = capsys.readouterr()
    assert f"run {killed.pinned.name}: process {os.getpid()} was killed or died" in said.err
    assert "A run is going on in the hub" in said.out, "nobody takes objects from under a run"
    assert (killed.folder.path.exists(), everything(busy.folder.path)) == (False, before)
    assert list(await busy.hub.refs("refs/graftline")) == [busy.ref("base")]
    assert await graftline(offline_project, "clean") == 2
    assert await graftline(offline_project, "clean", "--all", "--discard", "b") == 2
    lease.release()
    assert await tidy_hub(busy.folder.store, here) is not None


async def test_a_run_that_cannot_be_read_is_left_alone_and_does_not_keep_the_others(
    offline_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, reserved = await ended(offline_project, "a"), await ended(offline_project, "a")
    broken.folder.pinned.write_text("{}")
    merged = await reserved.hub.commit_tree(await reserved.hub.tree_of(reserved.base), [reserved.base], "a base", {})
    assert await reserved.hub.create_ref(reserved.ref("task", "a", 1), merged)  # and no attempt was made

    assert await graftline(offline_project, "clean", "--all") == 2
    said = capsys.readouterr()

    assert "cannot be read as the start of a run" in said.err
    assert f"Run {reserved.pinned.name}: removed 2 refs" in said.out
    assert (broken.folder.path.exists(), reserved.folder.path.exists()) == (True, False)
    assert list(await broken.hub.refs("refs/graftline")) == [broken.ref("base")]


async def test_a_run_that_died_before_it_had_begun_goes_altogether(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {})
    close_run(run)
    run.folder.pinned.unlink()
    header, *_ = run.folder.journal.read_bytes().splitlines(keepends=True)
    run.folder.journal.write_bytes(header)

    assert (await clean_up(run.folder, (), None)).refs.keys() == {run.ref("base")}
    assert (await run.hub.refs(run.ref()), run.folder.path.exists()) == ({}, False)


async def test_without_its_repository_all_work_of_a_run_is_kept(project: Project, tmp_path: Path) -> None:
    built = await project.build([task("a")], {"a": [write("a.txt")]})
    project.path.rename(tmp_path / "moved")

    assert works(await plan_clean_up(built.folder, (), None)) == [("a", "task/a/1")]
    assert works(await plan_clean_up(built.folder, (), open_repository(tmp_path / "moved"))) == []


def kill_between_worktrees_and_refs(project: Project, run: Run) -> None:
    """Start `graftline clean` on a run, and kill it where it waits for a lock of git's."""
    blocked = run.hub.git_dir / "packed-refs.lock"
    blocked.touch()
    before = processes_in([run.hub.git_dir])
    process = subprocess.Popen(
        [sys.executable, "-m", "graftline", "clean", run.pinned.name, "--repository", str(project.path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = monotonic() + 60
    while run.folder.worktrees.exists() and monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
            break
    process.kill()
    finish(process)
    waiting = processes_in([run.hub.git_dir]) - before  # git itself, in a session of its own
    for pid in waiting:
        os.kill(pid, signal.SIGTERM)
    assert end_leftovers(waiting) == []
    blocked.unlink()


async def test_a_clean_up_that_was_killed_is_finished_by_the_next(offline_project: Project) -> None:
    run = await ended(offline_project, "a")
    folder, here = run.folder, open_repository(offline_project.path)
    (folder.worktrees / "_verify-candidate").mkdir(parents=True)

    await asyncio.to_thread(kill_between_worktrees_and_refs, offline_project, run)

    assert not folder.worktrees.exists()
    assert (list(await run.hub.refs(run.ref())), folder.pinned.exists()) == ([run.ref("base")], True)
    journal = folder.journal.read_bytes()
    with pytest.raises(UserError, match="was cleaned up"):
        await reopen_run(folder, os.environ)
    assert works(await clean_up(folder, (), here)) == []
    assert (await run.hub.refs(run.ref()), folder.path.exists()) == ({}, False)

    folder.path.mkdir()
    folder.journal.write_bytes(journal)  # killed right before the last file
    assert works(await clean_up(folder, (), here)) == []
    assert not folder.path.exists()
