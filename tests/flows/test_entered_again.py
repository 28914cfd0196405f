"""A run that is entered again: what was finished stays, and what was red because of something else is tested again."""

from graftline.journal import EventKind
from graftline.report.model import RunState
from tests.pipeline import Project, Script, Tables, fail, runs_flows, task, write

pytestmark = runs_flows


async def test_tests_that_were_red_because_of_something_else_are_run_again_and_nobody_is_called(
    project: Project,
) -> None:
    cause = project.signals / "cause"
    cause.touch()
    settings: Tables = {
        "test": {"command": ["sh", "-c", f"test ! -e a.txt || test ! -e '{cause}'"]},
        "heal": {"max_rounds": 0},
    }
    first = await project.build([task("a")], {"a": [write("a.txt")]}, settings=settings)
    cause.unlink()
    second = await project.enter(first.report.flow_run_id)

    assert (first.report.state, second.report.state) == (RunState.TESTS_FAILED, RunState.LANDED)
    assert len(second.agents) == 1, "the task was finished the first time"
    assert [entry.data["passed"] for entry in second.of(EventKind.VERIFY_ENDED)] == [False, True]


async def test_a_part_that_landed_is_landed_still_when_the_rest_fails_again(project: Project) -> None:
    script: Script = {"good": [write("good.txt")], "bad": [fail()]}
    first = await project.build([task("good"), task("bad")], script, settings={"git": {"partial": True}})
    landed = first.report.landed_commit
    project.configure({"bad": [write("bad.txt")]}, {}, {"git": {"partial": True}})
    second = await project.enter(first.report.flow_run_id)

    assert (first.report.state, landed) == (RunState.PARTIAL, first.report.landed_commit)
    assert second.report.state is RunState.LANDED
    assert second.report.landed_commit == project.git("rev-parse", "main")
    assert {"good.txt", "bad.txt"} <= project.files("main")
    titles = project.git("log", "--format=%s", "main").split()
    assert sorted(titles) == ["bad", "bad", "first", "good", "good"], "no empty merge"
    assert second.report.tested_tree == project.git("rev-parse", "main^{tree}")
