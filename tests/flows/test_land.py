"""Landing: what becomes of the person's repository when it cannot simply be moved to the result."""

import shlex

from graftline.journal import EventKind
from graftline.report.model import RunState, exit_code
from tests.conftest import run_git
from tests.pipeline import Project, Script, Tables, edit, runs_flows, task, write

pytestmark = runs_flows


def meanwhile(project: Project, *lines: str) -> Tables:
    """A test command during whose first run on a candidate (it has `a.txt`) the person does something."""
    done = shlex.quote(str(project.signals / "meanwhile"))
    commit = "git -c user.name=P -c user.email=p@example.com commit -qam meanwhile"
    line = (
        f"! test -e broken.txt || exit 1; if test -e a.txt && ! test -e {done}; then touch {done}; "
        f"cd {shlex.quote(str(project.path))}; unset GIT_DIR; {'; '.join(lines)}; git add -A; {commit}; fi"
    )
    return {"test": {"command": ["sh", "-c", line]}}


async def test_asked_for_a_branch_the_target_and_everything_else_stays_as_it_is(project: Project) -> None:
    project.configure({}, {}, {})
    before = project.snapshot()
    built = await project.build([task("a")], {"a": [write("a.txt")]}, land="branch")

    assert built.report.state is RunState.ON_BRANCH
    assert exit_code(built.report) == 0
    branch = built.report.branch
    assert branch == f"graftline/{built.report.run}"
    assert project.files(branch) == project.files("main") | {"a.txt"}
    after = project.snapshot()
    new = {f".git/refs/heads/{branch}", f".git/logs/refs/heads/{branch}"}
    assert {name: text for name, text in after.items() if name not in new} == before
    assert built.report.reason.endswith(f"take it with: git -C {project.path} merge --ff-only {branch}")
    run_git(project.path, *shlex.split(built.report.reason.rpartition("take it with: git ")[2]))
    assert (project.path / "a.txt").exists()


async def test_a_target_with_uncommitted_changes_is_not_touched(project: Project) -> None:
    (project.path / "notes.txt").write_text("mine\n")
    before = project.git("rev-parse", "main")
    script: Script = {"a": [edit("notes.txt", "three", "drei")]}
    built = await project.build([task("a")], script)

    assert built.report.state is RunState.HELD
    assert exit_code(built.report) == 1
    assert project.git("rev-parse", "main") == before
    assert (project.path / "notes.txt").read_text() == "mine\n"
    assert built.report.notes[-1] == "1 uncommitted change(s) that agents will not see: notes.txt"
    assert "take it with: git -C" in built.report.reason
    assert built.report.branch is not None
    assert project.show("notes.txt", built.report.branch).split()[2] == "drei"


async def test_onto_a_target_that_moved_the_result_is_redone_and_verified_again(project: Project) -> None:
    settings = meanwhile(project, "echo theirs > theirs.txt")
    built = await project.build(
        [task("a"), task("b")], {"a": [write("a.txt")], "b": [write("b.txt")]}, settings=settings
    )

    assert built.report.state is RunState.LANDED
    assert {"a.txt", "b.txt", "theirs.txt"} <= project.files("main")
    line = project.git("log", "--first-parent", "--format=%s", "main").splitlines()
    assert line == ["b", "a", "meanwhile", "first"]
    assert [entry.data["label"] for entry in built.of(EventKind.VERIFY_ENDED)] == ["candidate", "moved-1"]
    assert built.report.tested_tree == project.git("rev-parse", "main^{tree}"), "what landed is what was tested"
    assert project.git("status", "--porcelain") == ""


async def test_a_result_that_collides_with_the_moved_target_waits_on_its_branch(project: Project) -> None:
    settings = meanwhile(project, "sed -i s/three/trois/ notes.txt")
    script: Script = {"a": [edit("notes.txt", "three", "drei"), write("a.txt")]}
    built = await project.build([task("a")], script, settings=settings)

    assert built.report.state is RunState.HELD
    assert exit_code(built.report) == 1
    assert project.show("notes.txt").split()[2] == "trois"
    assert built.report.branch is not None
    assert project.show("notes.txt", built.report.branch).split()[2] == "drei"
    assert "main moved and collides with this run's work" in built.report.notes
    assert built.report.tested_tree == project.git("rev-parse", f"{built.report.branch}^{{tree}}")


async def test_a_result_that_is_red_on_the_moved_target_waits_as_it_was_tested(project: Project) -> None:
    settings = meanwhile(project, "touch broken.txt")
    built = await project.build([task("a")], {"a": [write("a.txt")]}, settings=settings)

    assert built.report.state is RunState.HELD
    assert "a.txt" not in project.files("main")
    assert built.report.branch is not None
    assert built.report.tested_tree == project.git("rev-parse", f"{built.report.branch}^{{tree}}")
    assert built.report.tests is not None
    assert built.report.tests.exit_code == 0
    assert built.report.notes[-1].startswith("main moved, and on it this run's work is red: 1 test failed")


async def test_when_no_task_had_to_change_anything_nothing_lands(project: Project) -> None:
    script: Script = {"a": [{"say": "NO-CHANGE: it is there already"}], "b": [{"say": "read it all"}]}
    built = await project.build([task("a"), task("b", read_only=True)], script)

    assert built.report.state is RunState.NOTHING_TO_LAND
    assert exit_code(built.report) == 0
    assert {one.id: (one.state.value, one.reason) for one in built.report.tasks} == {
        "a": ("no-change", "it is there already"),
        "b": ("no-change", "read it all"),
    }
    assert built.report.branch is None
    assert built.state.is_completed()
