"""Red tests: whose they are, who is called, how often, and what lands when nothing helps."""

import shlex

from graftline.journal import EventKind
from graftline.report.model import HealOutcome, RunState, TestFailure, exit_code
from tests.pipeline import PYTEST, Built, Project, Script, Tables, edit, note, runs_flows, task, write

pytestmark = runs_flows

BREAK = edit("calc/adding.py", "a + b", "a - b")
MEND = edit("calc/adding.py", "a - b", "a + b")
TEST = "tests/test_adding.py::test_adds"
SUBTRACTING = write("calc/subtracting.py", "def subtract(a, b):\n    return a - b\n")


def healed(built: Built) -> list[tuple[int, str, HealOutcome]]:
    """Who was called in which round, and what it brought."""
    return [(heal.round, heal.task, heal.outcome) for heal in built.report.heals]


async def test_a_failing_test_is_healed_by_the_task_that_broke_what_it_tests(project: Project) -> None:
    # `other` is integrated last and would be the one to ask if nobody looked at who changed what.
    tasks = [task("breaks", title="Rework adding"), task("other", "breaks")]
    script: Script = {"breaks": [BREAK], "other": [SUBTRACTING]}
    heals: Script = {"breaks": [{"run": ["test", "-e", "calc/subtracting.py"]}, MEND]}
    settings = {**PYTEST, "agents.scripted": {"cost_usd": 0.5}}
    built = await project.build(tasks, script, heals=heals, settings=settings)

    assert built.report.state is RunState.LANDED
    assert healed(built) == [(1, "breaks", HealOutcome.HEALED)]
    (heal,) = built.report.heals
    assert (heal.tests, heal.cost_usd) == ((TEST,), 0.5)
    assert heal.commit == built.refs()["heal/1/breaks"]
    assert built.report.cost_usd == 1.5
    assert [call.role.value for call in built.account.calls] == ["task", "task", "heal"]
    assert built.report.tests is not None
    assert (built.report.tests.exit_code, built.report.tests.passed, built.report.tests.failures) == (0, 1, ())
    assert built.report.tested_tree == project.git("rev-parse", "main^{tree}"), "what landed is what was tested"
    assert "a + b" in project.show("calc/adding.py")
    prompt = (built.folder.heal(1, "breaks") / "prompt.md").read_text()
    assert "do breaks" in prompt
    assert "assert -1 == 5" in prompt
    assert "Heal Rework adding (round 1)" in project.git("log", "--first-parent", "--format=%s")


async def test_a_heal_that_makes_it_worse_is_dropped_and_the_next_starts_without_it(project: Project) -> None:
    worse = "import calc.adding\n\n\ndef test_one():\n    assert 0\n\n\ndef test_two():\n    assert 0\n"
    heals: Script = {"breaks": {1: [write("tests/test_worse.py", worse)], 2: [MEND]}}
    built = await project.build([task("breaks")], {"breaks": [BREAK]}, heals=heals, settings=PYTEST)

    assert healed(built) == [(1, "breaks", HealOutcome.DROPPED), (2, "breaks", HealOutcome.HEALED)]
    assert built.report.state is RunState.LANDED
    assert "tests/test_worse.py" not in project.files("main")
    assert built.hub("show", f"{built.refs()['heal/1/breaks']}:tests/test_worse.py") == worse.strip(), "nothing is lost"


async def test_what_is_not_healed_does_not_land_and_healing_ends(project: Project) -> None:
    before = project.git("rev-parse", "main")
    heals: Script = {"breaks": {1: [write("try.txt", "1")], 2: [write("try.txt", "2")], 3: [MEND]}}
    settings = {**PYTEST, "heal": {"max_rounds": 5, "max_per_task": 2}}
    built = await project.build([task("breaks"), task("fine")], {"breaks": [BREAK], "fine": [SUBTRACTING]}, heals=heals,
                                settings=settings)  # fmt: skip

    assert healed(built) == [(1, "breaks", HealOutcome.NOT_HEALED), (2, "breaks", HealOutcome.NOT_HEALED)]
    assert built.report.state is RunState.TESTS_FAILED
    assert exit_code(built.report) == 1
    assert built.report.reason == (
        f"tests are red and were not healed: 1 test failed: {TEST}; nothing landed; "
        f"look at the work with: graftline diff {built.report.run}"
    )
    assert built.report.tests is not None
    assert built.report.tests.failures == (TestFailure(test=TEST, message="assert -1 == 5\n +  where -1 = add(2, 3)"),)
    assert "no task is left that could be asked to heal the failing tests" in built.report.notes
    assert (built.report.landed_commit, built.report.branch) == (None, None)
    assert project.git("rev-parse", "main") == before
    assert project.git("branch", "--format=%(refname:short)") == "main"
    assert {"task/breaks/1", "task/fine/1", "heal/1/breaks", "heal/2/breaks", "candidate/3"} <= set(built.refs())


async def test_rounds_are_bounded_and_zero_rounds_call_nobody(project: Project) -> None:
    built = await project.build(
        [task("breaks")], {"breaks": [write("broken.txt")]}, settings={"heal": {"max_rounds": 0}}
    )

    assert built.report.state is RunState.TESTS_FAILED
    assert (built.report.heals, built.of(EventKind.HEAL_STARTED)) == ((), [])


async def test_a_flaky_failure_calls_nobody_and_lands_once_all_is_green(project: Project) -> None:
    mark = project.signals / "mark"
    flaky = (
        "from pathlib import Path\n\n\ndef test_flaky():\n"
        f"    mark = Path({str(mark)!r})\n    seen = mark.exists()\n    mark.touch()\n    assert seen\n"
    )
    built = await project.build([task("flaky")], {"flaky": [write("tests/test_flaky.py", flaky)]}, settings=PYTEST)

    assert built.report.state is RunState.LANDED
    assert built.report.heals == ()
    assert "flaky: tests/test_flaky.py::test_flaky failed once and passed when run again" in built.report.notes
    assert [entry.data["passed"] for entry in built.of(EventKind.VERIFY_ENDED)] == [False, True]


async def test_what_was_red_on_the_base_is_nobodys_failure(project: Project) -> None:
    red = "def test_red():\n    assert False\n"
    (project.path / "tests" / "test_red.py").write_text(red)
    project.git("add", "-A")
    project.git("commit", "-qm", "red")
    built = await project.build([task("adds")], {"adds": [SUBTRACTING]}, settings=PYTEST)

    assert built.report.state is RunState.LANDED
    assert built.report.reason.endswith("(base already red: 1 test)")
    assert built.report.tests is not None
    assert built.report.tests.base_failures == ("tests/test_red.py::test_red",)
    assert built.report.tests.failures == ()
    assert built.report.heals == ()


async def test_without_tests_it_lands_and_says_that_it_is_untested(project: Project) -> None:
    settings = {"test": {"runner": "none", "command": []}}
    built = await project.build([task("adds")], {"adds": [SUBTRACTING]}, settings=settings)

    assert built.report.state is RunState.LANDED
    assert built.report.reason.endswith('(untested: [test] runner = "none")')
    assert (built.report.tests, built.report.tested_tree) == (None, None)


async def test_a_setup_command_that_fails_ends_the_attempt_before_the_agent_is_paid(project: Project) -> None:
    called = project.signals / "called"
    marker = shlex.quote(str(project.signals / "setups"))
    setup = f"sh -c 'echo setting up >> {marker}; echo no network >&2; ! test -e poison.txt'"
    tasks = [task("poisons"), task("after", "poisons")]
    script: Script = {"poisons": [write("poison.txt")], "after": [note(called, "after")]}
    settings: Tables = {"worktree": {"setup": [setup]}, "agents.scripted": {"cost_usd": 1.0}}
    built = await project.build(tasks, script, settings=settings)

    assert built.states == {"poisons": "succeeded", "after": "failed"}
    (attempt,) = built.tasks["after"].attempts
    assert attempt.cost_usd == 0.0
    assert attempt.detail.startswith("[worktree] setup: ")
    assert "no network" in attempt.detail
    assert not called.exists()
    assert built.report.cost_usd == 1.0
    assert built.report.state is RunState.TESTS_FAILED, "what cannot be set up cannot be tested"
    assert "[worktree] setup: " in built.report.reason
