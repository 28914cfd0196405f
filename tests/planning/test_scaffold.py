"""The scaffold: acceptance tests on the base, where each has to be collected and to fail."""

from dataclasses import replace
from pathlib import Path

import pytest

from graftline.errors import CannotRunError
from graftline.git.trees import add_files
from graftline.journal import EventKind
from graftline.plan import Plan
from graftline.planning.scaffold import Bench
from graftline.run import Run
from tests.pipeline import PYTEST, Project, Tables, task
from tests.planning.drafting import red_test

GOOD = {
    "tests/test_good.py": red_test("good"),
    "tests/test_half.py": red_test("half"),
    "tests/new/test_basket.py": "def test_basket(basket):\n    assert basket\n",
}
FLAWED = {
    "tests/test_passes.py": "from calc.adding import add\n\n\ndef test_adds():\n    assert add(1, 1) == 2\n",
    "tests/test_mixed.py": red_test("mixed") + "\n\ndef test_is_true():\n    assert True\n",
    "tests/test_head.py": "from calc.head import run\n\n\ndef test_head():\n    assert run()\n",
    "tests/test_syntax.py": "def test_broken(:\n    pass\n",
    "tests/test_empty.py": "VALUE = 1\n",
    "tests/helper.py": red_test("helper"),
    "tests/test_skipped.py": "import pytest\n\n\n@pytest.mark.skip\ndef test_skipped():\n    assert False\n",
    "tests/test_expected.py": "import pytest\n\n\n@pytest.mark.xfail\ndef test_expected():\n    assert False\n",
    "tests/test_place.py": "import sys\n\nraise RuntimeError(__file__, sys.executable, '/api/v1')\n",
    "tests/test_name.py": "def test_name():\n    with pytest.raises(ValueError):\n        pass\n",
    "tests/test_fixture.py": "def test_fixture(cart):\n    assert cart\n",
    "tests/test_module.py": "import pytest\n\npytest.importorskip('calc.module')\n\n\ndef test_module():\n    pass\n",
}


def bench(run: Run, label: str = "scaffold") -> Bench:
    return Bench(
        run=run,
        base=run.base,
        command=run.test_command,
        tools=run.test_tools,
        folder=run.folder.verify(label),
        worktree=run.folder.verify_worktree(label),
        ref=run.ref("scaffold"),
    )


def plan_of(files: dict[str, str]) -> Plan:
    """A plan with a task for each acceptance test, called like the file; one adds a fixture."""
    tasks = [
        task(name := Path(path).stem, acceptance={path: content}, writes=[f"{name}.py", "tests/new/conftest.py"])
        for path, content in files.items()
    ]
    return Plan(title="Grow", tasks=tuple(tasks))


async def test_every_acceptance_test_has_to_be_collected_and_to_fail_on_the_base(offline_project: Project) -> None:
    (offline_project.path / "calc" / "half.py").write_text("def run():\n    return later()  # a task's to add\n")
    offline_project.git("add", "-A")
    offline_project.git("commit", "-qm", "half")
    run = await offline_project.open([task("a")], {}, settings=PYTEST)
    check = await bench(run).check(plan_of({**GOOD, **FLAWED}))

    problems = {problem.task: problem.message for problem in check.problems}
    assert len(problems) == len(check.problems) == len(FLAWED)
    assert "test_passes.py::test_adds': passes on the repository as it is" in problems["test_passes"]
    assert problems["test_mixed"].startswith("'tests/test_mixed.py::test_is_true': passes")
    assert "cannot be collected" in problems["test_head"]
    assert "No module named 'calc.head'; import what does not exist yet inside" in problems["test_head"]
    assert "cannot be collected" in problems["test_syntax"]
    for name in ("test_empty", "helper", "test_module"):
        assert problems[name].startswith(f"no test of 'tests/{name}.py' is collected")
    for name in ("test_skipped", "test_expected"):
        assert "skipped or expected to fail" in problems[name]
    for name in ("test_name", "test_fixture"):
        assert "fails by its own mistake" in problems[name]
    assert "name 'pytest' is not defined" in problems["test_name"]
    assert "('tests/test_place.py', '…/python', '/api/v1')" in problems["test_place"], "no place of this machine"
    assert str(run.folder.worktrees) not in str(check)
    assert str(offline_project.path.parent) not in str(check)


async def test_a_good_scaffold_is_kept_on_its_ref_and_not_tried_again(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {}, settings=PYTEST)
    plan = plan_of(GOOD)
    assert (await bench(run).check(plan)).problems == ()
    scaffold = await run.hub.resolve(run.ref("scaffold"))
    assert await run.hub.changed_paths(run.base, str(scaffold)) == tuple(sorted(GOOD))
    assert (await bench(run).check(plan)).problems == ()

    assert await run.hub.resolve(run.ref("scaffold")) == scaffold, "the same commit each time"
    tried = [entry.data["label"] for entry in run.journal.entries() if entry.event is EventKind.VERIFY_STARTED]
    assert tried == ["scaffold"]
    assert not run.folder.worktrees.exists() or not list(run.folder.worktrees.iterdir())
    record = next(bench(run).folder.glob("*.json"))
    record.write_text("{}")
    assert (await bench(run).check(plan)).problems == (), "a damaged record is made again"


async def test_what_was_found_of_one_tasks_test_is_not_said_of_another_task(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {}, settings=PYTEST)
    for owner in ("one", "other"):
        check = await bench(run).check(Plan(tasks=(task(owner, acceptance={"tests/test_empty.py": "VALUE = 1\n"}),)))
        assert [problem.task for problem in check.problems] == [owner]


async def test_a_test_that_ends_the_process_is_told_from_the_others(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {}, settings=PYTEST)
    deadly = {"tests/test_deadly.py": "import os\n\n\ndef test_dies():\n    os._exit(3)\n"}
    check = await bench(run).check(plan_of({**deadly, **GOOD}))
    assert [problem.task for problem in check.problems] == ["test_deadly"]
    assert "'tests/test_deadly.py::test_dies' ended the test process" in check.problems[0].message


async def test_tests_that_cannot_run_at_all_are_no_fault_of_the_plan(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {}, settings=PYTEST)
    assert run.test_command is not None
    unknown = replace(run.test_command, argv=(*run.test_command.argv, "--nonsense"))
    with pytest.raises(CannotRunError, match=r"(?s)tests of this repository cannot be run.*--nonsense"):
        await replace(bench(run), command=unknown).check(plan_of(GOOD))
    silent = replace(unknown, argv=("sh", "-c", "echo no pytest here; exit 1"), runner="pytest")
    with pytest.raises(CannotRunError, match=r"tests of this repository cannot be run.*: no pytest here"):
        await replace(bench(run), command=silent).check(plan_of(GOOD))
    tree = await add_files(run.hub, run.base, {"tests/conftest.py": "import nowhere\n"})
    broken = await run.hub.commit_tree(tree, [run.base], "broken", {})
    run.pinned = run.pinned.model_copy(update={"base": broken})
    with pytest.raises(CannotRunError, match=r"(?s)tests of this repository cannot be run.*conftest.py.*nowhere"):
        await bench(run).check(plan_of(GOOD))


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"test": {"runner": "none"}}, "the settings say not to test"), ({}, "only pytest tells one test from another")],
)
async def test_other_runners_and_none_leave_a_note(offline_project: Project, settings: Tables, said: str) -> None:
    none = {"test": {"runner": "none", "command": None}} if settings else {}
    run = await offline_project.open([task("a")], {}, settings=none)
    check = await bench(run).check(plan_of(FLAWED))
    assert (check.problems, len(check.notes)) == ((), 1)
    assert said in check.notes[0]
    assert await run.hub.resolve(run.ref("scaffold")) is not None
