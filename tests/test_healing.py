"""Healing: whom a red test goes back to, how often, and whether a round helped."""

import pytest

from graftline.healing import Assigned, assign, heal_task, is_better
from graftline.records import AttemptState
from graftline.verification import Verified
from graftline.verify.result import TestFailure, Verdict
from tests.pipeline import Project, Script, edit, shell, task
from tests.test_integration import work_on


def failure(test: str) -> TestFailure:
    return TestFailure(test, "assert 1 == 2", "trace of the failure", ("calc/adding.py",), "failed")


def verified(failures: int, *, passed: bool = False) -> Verified:
    red = tuple(failure(f"test_{number}") for number in range(failures))
    return Verified("c" * 40, "t" * 40, None, Verdict(passed, "", red, ()))


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        (verified(2), verified(0, passed=True), True),
        (verified(2), verified(1), True),
        (verified(2), verified(2), True),
        (verified(2), verified(3), False),
        (verified(2), verified(0), False),  # red as a whole, such as a suite that cannot be collected any more
    ],
)
def test_a_round_that_makes_more_tests_fail_is_not_kept(before: Verified, after: Verified, *, better: bool) -> None:
    assert is_better(before, after) is better


async def test_a_failure_goes_to_the_task_that_changed_the_file_it_happened_in_and_only_so_often(
    offline_project: Project,
) -> None:
    prompt = offline_project.signals / "prompt"
    script: Script = {
        "adds": [edit("calc/adding.py", "a + b", "a - b")],
        "other": [edit("notes.txt", "one", "eins")],
    }
    heals: Script = {"adds": [shell(f"cp $GRAFTLINE_TASK_PROMPT_FILE {prompt}"), edit("calc/adding.py", "-", "+")]}
    tasks = [task("adds", prompt="Add, {verbatim} please"), task("other")]
    run = await offline_project.open(tasks, script, heals=heals, settings={"heal": {"max_per_task": 1}})
    await work_on(run, "adds", "other")
    (assigned,) = await assign(run, (failure("tests/test_adding.py::test_adds"),))
    assert assigned == Assigned("adds", (failure("tests/test_adding.py::test_adds"),))

    work = await run.hub.resolve(run.ref("task", "adds", 1))
    assert work is not None
    record = await heal_task(run, work, assigned, 1)
    assert record.state is AttemptState.SUCCEEDED
    assert (record.base, record.round, record.paths) == (work, 1, ("calc/adding.py",))
    assert await run.hub.resolve(run.ref("heal", 1, "adds")) == record.commit
    said = prompt.read_text()
    assert "Add, {verbatim} please" in said
    assert "tests/test_adding.py::test_adds\nassert 1 == 2\ntrace of the failure" in said
    assert len(run.ledger.account(run.id).calls) == 3
    assert await heal_task(run, work, assigned, 1) == record, "a round that is done is not paid for again"
    assert len(run.ledger.account(run.id).calls) == 3
    assert await assign(run, assigned.failures) == (), "max_per_task calls were made"
