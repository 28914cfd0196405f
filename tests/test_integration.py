"""Which work goes together: bases, candidates and what is found again, from git and records alone."""

import dataclasses

from graftline.attempt import Ask, perform_attempt, reserve_place
from graftline.git.merging import Conflict
from graftline.integration import (
    Base,
    Collision,
    base_of,
    changed_files,
    finished_work,
    integrate,
    replay_candidate,
)
from graftline.records import AttemptRecord
from graftline.run import Run
from tests.conftest import run_git
from tests.pipeline import Project, Script, edit, task, write


async def work_on(run: Run, *names: str) -> dict[str, AttemptRecord]:
    """Let the named tasks' agents work, in this order, each from the work before it."""
    finished: dict[str, AttemptRecord] = {}
    for name in names:
        base = await base_of(run, name, finished)
        assert isinstance(base, Base)
        place = await reserve_place(run, name, base.commit)
        ask = Ask(spec=run.plan.task(name), base=base.commit, key=base.key, prompt="do it")
        finished[name] = await perform_attempt(run, ask, place)
    return finished


async def test_a_task_starts_from_its_predecessors_and_its_acceptance_tests_and_from_nothing_else(
    offline_project: Project,
) -> None:
    tasks = [
        task("root"),
        task("middle", "root"),
        task("apart"),
        task("tip", "middle", acceptance={"tests/test_tip.py": "def test_tip():\n    assert True\n"}),
    ]
    script: Script = {name: [write(f"{name}.txt")] for name in ("root", "middle", "apart")}
    run = await offline_project.open(tasks, script)
    finished = await work_on(run, "root", "middle", "apart")
    base = await base_of(run, "tip", finished)

    assert isinstance(base, Base)
    added = set(await run.hub.changed_paths(run.base, base.commit))
    assert added == {"root.txt", "middle.txt", "tests/test_tip.py"}
    again = await base_of(run, "tip", finished)
    assert isinstance(again, Base)
    assert again.key == base.key
    assert set(await finished_work(run)) == {"root", "middle", "apart"}
    assert (await changed_files(run))["middle"] == {"middle.txt"}


async def test_the_work_of_a_task_reaches_one_after_it_past_a_failed_one_between_them(
    offline_project: Project,
) -> None:
    """`last` waits for `first` only through `middle`, which did not finish."""
    tasks = [
        task("first"),
        task("middle", after=["first"]),
        task("last", after=["first", "middle"]),
    ]
    run = await offline_project.open(tasks, {"first": [edit("notes.txt", "three", "drei")]})
    base = await base_of(run, "last", await work_on(run, "first"))

    assert run.graph.waits_for("last") == ("middle",)
    assert isinstance(base, Base)
    assert set(await run.hub.changed_paths(run.base, base.commit)) == {"notes.txt"}


async def test_colliding_predecessors_are_named_with_their_files(offline_project: Project) -> None:
    tasks = [task("one"), task("two"), task("tip", "one", "two")]
    script: Script = {"one": [edit("notes.txt", "three", "drei")], "two": [edit("notes.txt", "three", "trois")]}
    run = await offline_project.open(tasks, script)
    base = await base_of(run, "tip", await work_on(run, "one", "two"))

    assert base == Collision((Conflict("two", ("one",), ("notes.txt",)),))
    assert str(base) == "its predecessors collide: two with one in notes.txt"


async def test_the_same_work_gives_the_same_candidate_whoever_asks(offline_project: Project) -> None:
    run = await offline_project.open([task("b"), task("a")], {"a": [write("a.txt")], "b": [write("b.txt")]})
    await work_on(run, "a", "b")
    first = await integrate(run)
    run.candidates = 0
    again = await integrate(dataclasses.replace(run, merger=dataclasses.replace(run).merger))

    assert first.commit == again.commit
    assert first.merged == ("b", "a"), "the plan's order, not that of finishing"
    assert await run.hub.resolve(run.ref("candidate", 1)) == first.commit


async def test_a_candidate_is_brought_onto_a_target_that_moved_with_its_history(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {"a": [write("a.txt")]})
    await work_on(run, "a")
    candidate = await integrate(run)
    (offline_project.path / "theirs.txt").write_text("theirs\n")
    run_git(offline_project.path, "add", "-A")
    run_git(offline_project.path, "commit", "-qm", "theirs")
    tip = run_git(offline_project.path, "rev-parse", "HEAD")
    moved = await replay_candidate(run, candidate.commit, run.base)

    assert moved is not None
    assert moved.onto == tip
    assert set(await run.hub.changed_paths(tip, moved.commit)) == {"a.txt"}
    assert await run.hub.is_ancestor(tip, moved.commit)
    assert await run.hub.resolve(run.ref("candidate", 2)) == moved.commit
