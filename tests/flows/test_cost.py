"""It costs what it said: the cap is a hard stop, the account is exact, and unknown is not zero."""

import pytest

from graftline.report.model import RunState, exit_code
from tests.pipeline import Project, Script, Tables, note, runs_flows, task, write

pytestmark = runs_flows


async def test_no_call_starts_that_does_not_fit_under_the_cap(project: Project) -> None:
    calls = project.signals / "calls"
    names = ["a", "b", "c", "d"]
    script: Script = {name: [note(calls, name), write(f"{name}.txt")] for name in names}
    settings: Tables = {
        "agents.scripted": {"cost_usd": 0.4},
        "cost": {"max_usd": 1.0, "warn_usd": 0.5},
        "retries": {"max_per_task": 2},
    }
    tasks = [*(task(name) for name in names), task("after", "c")]
    built = await project.build(tasks, script, settings=settings, limits={"max_concurrent": 1})

    assert calls.read_text().split() == ["a", "b"]
    assert built.report.state is RunState.BUDGET_REACHED
    assert exit_code(built.report) == 1
    assert (built.report.cost_usd, built.report.cost_known_usd, built.report.unknown_calls) == (0.8, 0.8, 0)
    assert [(call.task, call.usage.cost_usd) for call in built.account.calls] == [("a", 0.4), ("b", 0.4)]
    assert built.states == {"a": "succeeded", "b": "succeeded", "c": "failed", "d": "not-run", "after": "skipped"}
    assert built.tasks["c"].reason == "attempt 1: budget: the run's cap leaves nothing for another call"
    assert built.tasks["d"].reason == "not started: budget reached"
    assert built.report.reason.startswith(
        "budget reached; c, d, after did not make it; what is finished waits on branch"
    )
    assert built.report.branch is not None
    assert {"a.txt", "b.txt"} <= project.files(built.report.branch)
    assert "$0.80 of the cap of $1.00 is spent or reserved" in built.report.notes


async def test_a_heal_call_that_does_not_fit_under_the_cap_is_not_made(project: Project) -> None:
    settings: Tables = {"agents.scripted": {"cost_usd": 0.6}, "cost": {"max_usd": 1.0}}
    heals: Script = {"a": [{"delete": "broken.txt"}]}
    built = await project.build([task("a")], {"a": [write("broken.txt")]}, heals=heals, settings=settings)

    assert built.report.state is RunState.BUDGET_REACHED
    assert [call.role.value for call in built.account.calls] == ["task"]
    assert [(heal.outcome.value, heal.cost_usd) for heal in built.report.heals] == [("failed", 0.0)]
    assert built.report.landed_commit is None


@pytest.mark.parametrize("cap_usd", [0.0, 5.0])
async def test_a_cost_that_is_not_known_is_null_and_counts_against_the_cap(project: Project, cap_usd: float) -> None:
    settings: Tables = {"agents.scripted": {"cost_usd": None}, "cost": {"max_usd": cap_usd}}
    built = await project.build([task("a")], {"a": [write("a.txt")]}, settings=settings)

    if not cap_usd:
        assert built.report.state is RunState.BUDGET_REACHED
        assert (built.account.calls, built.agents) == ((), [])
        return
    assert built.report.state is RunState.LANDED
    assert (built.report.cost_usd, built.report.cost_known_usd, built.report.unknown_calls) == (None, 0.0, 1)
    assert built.tasks["a"].attempts[0].cost_usd is None
    assert built.account.estimated_usd > 0
