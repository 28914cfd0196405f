"""Work that collides, and the shape of what lands: nobody's work is lost, and nobody else's is held up."""

from graftline.report.model import ConflictReport, RunState, exit_code
from tests.pipeline import Project, Script, edit, note, runs_flows, shell, task, write

pytestmark = runs_flows

COLLIDING: Script = {
    "one": [edit("notes.txt", "three", "drei")],
    "two": [edit("notes.txt", "three", "trois"), write("two.txt")],
    "apart": [edit("notes.txt", "one", "eins"), write("apart.txt")],
}


async def test_of_two_colliding_tasks_the_later_waits_on_its_ref_and_the_others_are_verified(project: Project) -> None:
    tasks = [task("one"), task("two"), task("apart"), task("after", "two"), task("both", "one", "two")]
    script: Script = {
        **COLLIDING,
        "after": [shell("grep -q trois notes.txt"), write("after.txt")],
        "both": [note(project.signals / "called", "both")],
    }
    before = project.git("rev-parse", "main")
    built = await project.build(tasks, script)

    assert built.states == {
        "one": "succeeded",
        "two": "conflicted",
        "apart": "succeeded",
        "after": "skipped",
        "both": "skipped",
    }
    assert built.report.conflicts == (ConflictReport(task="two", with_tasks=("one",), files=("notes.txt",)),)
    assert built.tasks["two"].reason == "collides with one in notes.txt"
    assert built.tasks["both"].reason == "its predecessors collide: two with one in notes.txt"
    assert built.tasks["after"].reason == "it depends on a task whose work collides"
    assert not (project.signals / "called").exists()
    for name in ("two", "after"):
        assert built.refs()[f"task/{name}/1"] == built.tasks[name].commit, "the work is on its ref"
    assert built.hub("show", f"{built.tasks['two'].commit}:notes.txt").split() == [
        "one",
        "two",
        "trois",
        "four",
        "five",
    ]
    assert built.report.state is RunState.PARTIAL
    assert exit_code(built.report) == 1
    assert project.git("rev-parse", "main") == before
    assert built.report.branch is not None
    assert project.show("notes.txt", built.report.branch).split() == ["eins", "two", "drei", "four", "five"]
    assert not {"two.txt", "after.txt", "both.txt"} & project.files(built.report.branch)
    assert built.report.tested_tree == project.git("rev-parse", f"{built.report.branch}^{{tree}}")


async def test_with_partial_what_is_finished_and_green_lands(project: Project) -> None:
    tasks = [task(name) for name in COLLIDING]
    built = await project.build(tasks, COLLIDING, settings={"git": {"partial": True}})

    assert built.report.state is RunState.PARTIAL
    assert exit_code(built.report) == 1, "partial success is not success"
    assert built.report.landed_commit == project.git("rev-parse", "main")
    assert project.show("notes.txt").split() == ["eins", "two", "drei", "four", "five"]
    assert (project.path / "apart.txt").read_text() == "content\n"
    assert built.report.reason.startswith("two did not make it; main is now at ")
    assert built.report.notes[0].startswith(
        "forecast: 0.3 collisions among 3 pairs of tasks, and 1 happened: one and two (10%); advised was 3 agents"
    )


async def test_what_a_task_only_waits_for_does_not_stop_it_by_colliding(project: Project) -> None:
    # `third` waits for `second`, which declares to write the same file, but does not depend on it.
    tasks = [task("first"), task("second", writes=["shared.txt"]), task("third", "first", writes=["shared.txt"])]
    script: Script = {
        "first": [edit("notes.txt", "three", "drei")],
        "second": [edit("notes.txt", "three", "trois"), write("shared.txt")],
        "third": [shell("grep -q drei notes.txt && ! test -e shared.txt"), write("shared.txt", "third's\n")],
    }
    built = await project.build(tasks, script, settings={"git": {"partial": True}})

    assert built.states == {"first": "succeeded", "second": "conflicted", "third": "succeeded"}
    assert project.show("shared.txt") == "third's"
    assert built.report.notes[-1] == "second (attempt 1): changed outside its `writes`: notes.txt"


async def test_landed_history_is_one_merge_per_task_with_the_agents_own_commits_beneath(project: Project) -> None:
    base = project.git("rev-parse", "main")
    script: Script = {
        "one": [write("one.txt"), {"run": ["git", "add", "."]}, {"run": ["git", "commit", "-qm", "my own words"]}],
        "two": [write("two.txt")],
    }
    built = await project.build([task("one", title="Do the first"), task("two", "one")], script)

    assert built.report.state is RunState.LANDED
    line = project.git("log", "--first-parent", "--format=%s|%(trailers:key=Graftline-Task,valueonly)", f"{base}..main")
    assert [each.strip() for each in line.splitlines() if each.strip()] == ["two|two", "Do the first|one"]
    assert "my own words" in project.git("log", "--format=%s", f"{base}..main")
    assert project.git("status", "--porcelain") == ""
    trailers = project.git("log", "-1", "--format=%(trailers)", "main")
    assert trailers.splitlines() == [
        f"Graftline-Run: {built.report.run}",
        "Graftline-Task: two",
        "Graftline-Attempt: 1",
    ]


async def test_linear_history_is_one_commit_per_task(project: Project) -> None:
    base = project.git("rev-parse", "main")
    script: Script = {"one": [write("one.txt")], "two": [write("two.txt")]}
    settings = {"git": {"history": "linear"}}
    built = await project.build([task("one"), task("two")], script, settings=settings)

    assert built.report.state is RunState.LANDED
    assert project.git("log", "--format=%s", f"{base}..main").splitlines() == ["two", "one"]
    assert project.git("rev-list", "--merges", f"{base}..main") == ""
    assert built.report.tested_tree == project.git("rev-parse", "main^{tree}")
