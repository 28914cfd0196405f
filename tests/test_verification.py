"""Verification: a tree is tested once, judged against the base, and tested again only when that is asked for."""

from graftline.git.trees import add_files
from graftline.journal import EventKind
from graftline.run import Run
from graftline.verification import confirm, verdict_of, verify_base, verify_candidate
from tests.pipeline import Project, Tables, task


async def commit_with(run: Run, **files: str) -> str:
    tree = await add_files(run.hub, run.base, {name.replace("_", "."): text for name, text in files.items()})
    return await run.hub.commit_tree(tree, [run.base], "candidate", {})


def counting(project: Project) -> Tables:
    """A test command that says which tree it saw each time it runs."""
    line = f"ls > /dev/null; echo run >> {project.signals / 'runs'}; ! test -e broken.txt"
    return {"test": {"command": ["sh", "-c", line]}}


async def test_one_tree_is_tested_once_whatever_commit_it_is_in(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {}, settings=counting(offline_project))
    runs = offline_project.signals / "runs"
    await verify_base(run)
    await verify_base(run)
    same = await run.hub.commit_tree(await run.hub.tree_of(run.base), [run.base], "the same", {})
    assert (await verdict_of(run, same, "candidate")).verdict.passed
    assert runs.read_text().split() == ["run"]
    assert (await verdict_of(run, same, "again", fresh=True)).verdict.passed
    assert runs.read_text().split() == ["run", "run"]
    assert not (await verdict_of(run, await commit_with(run, broken_txt="x"), "other")).verdict.passed
    assert len(runs.read_text().split()) == 3
    assert not run.folder.worktrees.exists() or not list(run.folder.worktrees.iterdir())


async def test_a_verdict_is_written_into_the_journal_with_what_it_is_about(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {}, settings=counting(offline_project))
    commit = await commit_with(run, broken_txt="x")
    verified = await verify_candidate(run, commit, "candidate", number=2)

    entry = next(entry for entry in run.journal.entries() if entry.event is EventKind.VERIFY_ENDED)
    assert (entry.data["commit"], entry.data["tree"]) == (commit, await run.hub.tree_of(commit))
    assert (entry.data["passed"], entry.data["round"], entry.data["label"]) == (False, 2, "candidate")
    assert entry.data["reason"] == verified.verdict.reason


async def test_a_failure_that_does_not_happen_again_is_flaky_and_said(offline_project: Project) -> None:
    mark = offline_project.signals / "mark"
    line = f"! test -e flaky.txt || test -e {mark} || {{ touch {mark}; exit 1; }}"
    run = await offline_project.open([task("a")], {}, settings={"test": {"command": ["sh", "-c", line]}})
    verified = await verdict_of(run, await commit_with(run, flaky_txt="x"), "candidate")
    assert not verified.verdict.passed
    confirmation = await confirm(run, verified, "confirm-1")

    assert (len(confirmation.flaky), confirmation.confirmed) == (1, ())
    warnings = [str(entry.data["text"]) for entry in run.journal.entries() if entry.event is EventKind.WARNING]
    assert warnings[-1].startswith("flaky: ")


async def test_a_set_up_that_fails_is_not_passed_and_not_remembered(offline_project: Project) -> None:
    missing = offline_project.signals / "network"
    settings = {"worktree": {"setup": [f"test -e {missing}"]}}
    run = await offline_project.open([task("a")], {}, settings=settings)
    first = await verdict_of(run, run.base, "candidate")
    assert not first.verdict.passed
    assert "[worktree] setup: " in first.verdict.reason
    missing.touch()
    assert (await verdict_of(run, run.base, "again")).verdict.passed, "the network is back"
