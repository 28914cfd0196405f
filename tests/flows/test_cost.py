"""It costs what it said: the cap is a hard stop, the account is exact, and unknown is not zero."""

import os

from graftline.caps import Scope
from graftline.opening import change_cap, reopen_run
from graftline.report.model import CapReport, RunState, exit_code
from graftline.report.wording import resume_command
from graftline.run import close_run
from tests.pipeline import Project, Script, Steps, Tables, note, runs_flows, task, write

pytestmark = runs_flows


async def test_no_call_starts_that_does_not_fit_under_the_cap_and_a_higher_one_lets_the_rest_start(
    project: Project,
) -> None:
    calls = project.signals / "calls"
    names = ["a", "b", "c", "d"]
    script: dict[str, Steps] = {name: [note(calls, name), write(f"{name}.txt")] for name in names}
    settings: Tables = {
        "agents.scripted": {"cost_usd": 0.4},
        "cost": {"max_usd": 1.0, "warn_usd": 0.5},
        "retries": {"max_per_task": 2},
    }
    script["after"] = [note(calls, "after")]
    tasks = [*(task(name) for name in names), task("after", "c", read_only=True)]
    built = await project.build(tasks, script, settings=settings, limits={"max_concurrent": 1})

    assert calls.read_text().split() == ["a", "b"]
    assert built.report.state is RunState.BUDGET_REACHED
    assert exit_code(built.report) == 1
    assert (built.report.cost_usd, built.report.cost_known_usd, built.report.unknown_calls) == (0.8, 0.8, 0)
    assert [(call.task, call.usage.cost_usd) for call in built.account.calls] == [("a", 0.4), ("b", 0.4)]
    assert (built.state.name, built.state.type.value) == ("Budget reached", "FAILED")
    assert built.states == {"a": "succeeded", "b": "succeeded", "c": "not-run", "d": "not-run", "after": "skipped"}
    short = "the run's cap of $1.00 leaves $0.20, and the next call counts as $0.40"
    assert built.tasks["c"].reason == short
    assert built.tasks["d"].reason == "not started: budget reached"
    assert built.report.reason.startswith(
        f"budget reached: {short}; c, d, after did not make it; what is finished waits on branch"
    )
    assert built.report.caps_reached == (
        CapReport(cap=Scope.RUN, task="c", limit_usd=1, counted_usd=0.8, asked_usd=0.4, called=False),
    )
    assert resume_command(built.report) == f"graftline resume {built.report.run} --max-cost 2.00"
    assert built.report.branch is not None
    assert {"a.txt", "b.txt"} <= project.files(built.report.branch)
    assert "$0.80 of the cap of $1.00 is spent" in built.report.notes

    run = await reopen_run(built.folder, os.environ)
    change_cap(run, 2.0, keep=True)
    close_run(run)
    again = await project.enter(built.report.flow_run_id)

    assert (again.report.state, again.report.caps_reached) == (RunState.LANDED, ())
    assert calls.read_text().split() == ["a", "b", "c", "d", "after"]
    assert again.report.cost_usd == 2.0
    assert {"a.txt", "b.txt", "c.txt", "d.txt"} <= project.files()
    assert [note for note in again.report.notes if "changed since" in note] == [], "the cap was asked for"


async def test_a_heal_call_that_does_not_fit_under_the_cap_is_not_made(project: Project) -> None:
    settings: Tables = {"agents.scripted": {"cost_usd": 0.6}, "cost": {"max_usd": 1.0}}
    heals: Script = {"a": [{"delete": "broken.txt"}]}
    built = await project.build([task("a")], {"a": [write("broken.txt")]}, heals=heals, settings=settings)

    assert built.report.state is RunState.BUDGET_REACHED
    assert [call.role.value for call in built.account.calls] == ["task"]
    assert [(heal.outcome.value, heal.cost_usd) for heal in built.report.heals] == [("failed", 0.0)]
    assert built.report.landed_commit is None
    assert "; tests are red: " in built.report.reason


async def test_a_cost_that_is_not_known_is_null_and_counts_against_the_cap(project: Project) -> None:
    settings: Tables = {"agents.scripted": {"cost_usd": None}, "cost": {"unknown_call_usd": 0.75}}
    built = await project.build([task("a")], {"a": [write("a.txt")]}, settings=settings)

    assert built.report.state is RunState.LANDED
    assert (built.report.cost_usd, built.report.cost_known_usd, built.report.unknown_calls) == (None, 0.0, 1)
    assert built.report.cost_unknown_usd == 0.75
    assert built.tasks["a"].attempts[0].cost_usd is None
    assert any(said.startswith("what a call of scripted costs is not known") for said in built.report.notes)
