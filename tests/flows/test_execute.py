"""The plan as a Prefect flow: when tasks start, in which order, what a failure stops, what nobody pays for twice."""

import asyncio
import re
from collections import Counter
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, FlowRunFilterParentFlowRunId

from graftline.journal import EventKind
from graftline.report.model import RunState
from graftline.tasks import attempt as attempt_tasks
from tests.pipeline import (
    Built,
    Project,
    Script,
    Step,
    Tables,
    fail,
    hanging,
    note,
    runs_flows,
    shell,
    task,
    touch,
    wait_for,
    write,
)

pytestmark = runs_flows

PATIENCE_SECONDS = 30
"""How long the server may take to record task runs that have ended."""


@pytest.fixture
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once: how long a provider is given is of no interest here."""
    monkeypatch.setattr(attempt_tasks, "RETRY_DELAYS_SECONDS", [0])


async def graph_of(built: Built, nodes: set[str]) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """States and edges of task runs as Prefect's UI draws them, once the server has recorded all of `nodes`."""
    of_run = FlowRunFilter(
        parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[UUID(built.report.flow_run_id)]),
        name=FlowRunFilterName(any_=["execute"]),
    )
    async with get_client() as client, asyncio.timeout(PATIENCE_SECONDS):
        (execute,) = await client.read_flow_runs(flow_run_filter=of_run)
        while True:
            response = await client._client.get(f"/flow_runs/{execute.id}/graph-v2")
            drawn = [node for _, node in response.json()["nodes"]]
            if {node["label"] for node in drawn if node["state_type"] not in ("PENDING", "RUNNING")} >= nodes:
                break
            await asyncio.sleep(0.2)  # the server records task runs some time after they ended
    labels = {node["id"]: node["label"] for node in drawn}
    edges = {(labels[parent["id"]], node["label"]) for node in drawn for parent in node["parents"]}
    return {node["label"]: node["state_type"] for node in drawn}, edges


def most_at_once(lines: list[str]) -> int:
    """The most agents that were at work at the same time, by the `+` and `-` they left."""
    running = most = 0
    for line in lines:
        running += 1 if line.startswith("+") else -1
        most = max(most, running)
    return most


async def test_each_task_starts_when_its_own_predecessors_have_finished(project: Project) -> None:
    # `slow` ends only once `after` has run: by levels, or in a fixed order, this plan would never end.
    tasks = [task("slow"), task("fast"), task("after", "fast"), task("last", "slow", "after")]
    done = project.signals / "done"
    script: Script = {
        "slow": [wait_for(done), write("slow.txt")],
        "fast": [write("fast.txt")],
        "after": [shell("test -e fast.txt && ! test -e slow.txt"), write("after.txt"), touch(done)],
        "last": [shell("test -e slow.txt && test -e fast.txt && test -e after.txt"), write("last.txt")],
    }
    built = await project.build(tasks, script)

    assert built.report.state is RunState.LANDED
    assert set(built.states.values()) == {"succeeded"}
    assert {"slow.txt", "fast.txt", "after.txt", "last.txt"} <= project.files("main")
    states, edges = await graph_of(built, set(built.states))
    assert states == dict.fromkeys(built.states, "COMPLETED")
    assert edges == {("fast", "after"), ("slow", "last"), ("after", "last")}


async def test_a_failed_task_skips_its_dependents_with_the_reason_and_nothing_else(project: Project) -> None:
    tasks = [task("bad"), task("child", "bad"), task("grandchild", "child"), task("other"), task("kin", "other")]
    script: Script = {
        "bad": [write("half.txt"), {"say": "no idea how"}, fail()],
        "child": [note(project.signals / "called", "child")],
        "grandchild": [note(project.signals / "called", "grandchild")],
        "other": [write("other.txt")],
        "kin": [write("kin.txt")],
    }
    before = project.snapshot()
    built = await project.build(tasks, script)

    assert built.states == {
        "bad": "failed",
        "child": "skipped",
        "grandchild": "skipped",
        "other": "succeeded",
        "kin": "succeeded",
    }
    assert {name: built.tasks[name].reason for name in ("bad", "child", "grandchild")} == {
        "bad": built.tasks["bad"].reason,
        "child": "bad did not finish",
        "grandchild": "child did not finish",
    }
    assert built.tasks["bad"].reason.startswith("attempt 1: failed: exit status 1: wrote half.txt\nno idea how")
    assert not (project.signals / "called").exists()
    assert [one.ref.removeprefix(f"refs/graftline/{built.report.flow_run_id}/") for one in built.report.salvage] == [
        "salvage/bad/1"
    ]
    assert built.hub("show", f"{built.report.salvage[0].commit}:half.txt") == "content"
    # The finished part is verified and waits; the target has not moved, and nothing else in the repository has.
    assert built.report.state is RunState.PARTIAL
    assert built.report.branch is not None
    assert {"other.txt", "kin.txt"} <= project.files(built.report.branch)
    after = project.snapshot()
    branch = f".git/refs/heads/{built.report.branch}"
    assert {name: content for name, content in after.items() if name not in (branch, f".git/logs/{branch[5:]}")} == {
        **before,
        "graftline.toml": after["graftline.toml"],
    }
    assert built.state.is_failed()
    assert built.state.message == built.report.reason
    states, edges = await graph_of(built, set(built.states))
    assert states == {
        "bad": "FAILED",
        "child": "CANCELLED",
        "grandchild": "CANCELLED",
        "other": "COMPLETED",
        "kin": "COMPLETED",
    }
    assert edges == {("bad", "child"), ("other", "kin")}, "an edge to a skipped task run would leave it NotReady"


@pytest.mark.usefixtures("no_delays")
async def test_a_failed_attempt_is_followed_by_another_until_the_run_has_no_extra_ones_left(project: Project) -> None:
    # One after the other, so that it is known which tasks get the run's two extra attempts.
    tasks = [task("heals"), task("useless", "heals", max_retries=2), task("late", max_retries=0)]
    script: Script = {
        "heals": {1: [write("first.txt"), fail()], 2: [shell("! test -e first.txt"), write("second.txt")]},
        "useless": [fail()],
        "late": [fail()],
    }
    settings: Tables = {
        "retries": {"max_per_task": 1, "max_per_run": 2},
        "agents.scripted": {"cost_usd": 0.25, "tier": "fast"},
        "agents.better": project.agent(cost_usd=0.25, tier="deep"),
        "models": {"escalation": ["deep"]},
        "cost": {"max_usd": 10.0},
    }
    built = await project.build(tasks, script, settings=settings)

    attempts = {one.id: [(each.profile, each.outcome.value) for each in one.attempts] for one in built.report.tasks}
    assert attempts == {
        "heals": [("scripted", "failed"), ("better", "ok")],
        "useless": [("scripted", "failed"), ("better", "failed")],
        "late": [("scripted", "failed")],
    }
    assert set(built.refs()) == {
        "base",
        "candidate/1",
        "task/heals/1",
        "task/heals/2",
        "task/useless/1",
        "task/useless/2",
        "task/late/1",
        "salvage/heals/1",
    }
    calls = Counter((call.task, call.attempt) for call in built.account.calls)
    assert calls == Counter([("heals", 1), ("heals", 2), ("useless", 1), ("useless", 2), ("late", 1)])
    assert built.report.cost_usd == 1.25
    assert built.hub("show", f"{built.refs()['salvage/heals/1']}:first.txt") == "content"


async def test_the_limits_of_a_run_and_of_a_group_hold(project: Project) -> None:
    log = project.signals / "log"
    grouped = project.signals / "grouped"
    steps: list[Step] = [note(log, "+"), {"sleep": 0.15}, note(log, "-")]
    tasks = [
        *(task(f"free{number}") for number in range(3)),
        *(task(f"grouped{number}", concurrency_group="database") for number in range(3)),
    ]
    script: Script = {
        one.id: [
            *([note(grouped, "+")] if one.concurrency_group else []),
            *steps,
            *([note(grouped, "-")] if one.concurrency_group else []),
            write(f"{one.id}.txt"),
        ]
        for one in tasks
    }
    built = await project.build(tasks, script, limits={"max_concurrent": 2})

    assert built.report.state is RunState.LANDED
    assert most_at_once(log.read_text().split()) == 2
    assert most_at_once(grouped.read_text().split()) == 1


async def test_a_limit_across_runs_holds(project: Project) -> None:
    log = project.signals / "log"
    tasks = [task("a"), task("b")]
    script: Script = {name: [note(log, "+"), {"sleep": 0.1}, note(log, "-"), write(f"{name}.txt")] for name in "ab"}
    built = await project.build(tasks, script, settings={"limits": {"agents": 1}})

    assert built.report.state is RunState.LANDED
    assert most_at_once(log.read_text().split()) == 1
    async with get_client() as client:
        limit = await client.read_global_concurrency_limit_by_name("graftline-agents")
    assert (limit.limit, limit.active_slots) == (1, 0)


async def test_of_the_tasks_that_could_run_the_one_with_the_highest_priority_runs_first(project: Project) -> None:
    log = project.signals / "log"
    tasks = [task("low"), task("high", priority=5), task("first", priority=9), task("middle", "first", priority=3)]
    script: Script = {one.id: [note(log, one.id), write(f"{one.id}.txt")] for one in tasks}
    built = await project.build(tasks, script, limits={"max_concurrent": 1})

    assert built.report.state is RunState.LANDED
    assert log.read_text().split() == ["first", "high", "middle", "low"]
    _, edges = await graph_of(built, set(built.states))
    assert edges == {("first", "middle")}, "that others ran before is no edge, although they started from the same base"


async def test_a_task_that_takes_too_long_is_ended_and_timed_out(project: Project) -> None:
    built = await project.build([task("overdue", agent="hanging", timeout_seconds=1.0)], {}, settings=hanging())

    assert built.states == {"overdue": "failed"}
    assert re.match(r"attempt 1: timed-out: ended after \d s, its time limit", built.tasks["overdue"].reason)
    assert built.hub("show", f"{built.refs()['salvage/overdue/1']}:begun.txt") == "content"
    assert built.report.state is RunState.FAILED
    async with get_client() as client, asyncio.timeout(PATIENCE_SECONDS):
        while True:
            runs = await client.read_task_runs()
            mine = [run for run in runs if run.name == "overdue" and run.state is not None and run.state.is_final()]
            if mine:
                break
            await asyncio.sleep(0.2)
    assert mine[0].state is not None
    assert mine[0].state.name == "TimedOut"


async def test_a_run_that_takes_too_long_ends_its_agents_and_says_so(project: Project) -> None:
    tasks = [task("slow", agent="hanging"), task("next", "slow")]
    built = await project.build(tasks, {}, settings=hanging(), limits={"run_timeout_seconds": 4.0})

    assert built.report.state is RunState.FAILED
    assert built.report.reason == (
        "the run took longer than [timeouts] run_seconds; slow, next did not make it; nothing landed"
    )
    assert built.states == {"slow": "cancelled", "next": "not-run"}
    assert built.hub("show", f"{built.refs()['salvage/slow/1']}:begun.txt") == "content"
    assert built.state.is_failed()


async def test_an_agent_that_cannot_be_started_stops_the_run_and_costs_nothing(project: Project) -> None:
    tasks = [task("first", agent="missing"), task("second", "first"), task("third")]
    settings: Tables = {
        "agents.missing": {"type": "command", "command": ["./no-such-agent"], "cost_usd": 1.0},
        "retries": {"max_per_task": 1},
        "agent": {"max_concurrent": 1},
    }
    built = await project.build(tasks, {"third": [write("third.txt")]}, settings=settings)

    assert built.states == {"first": "failed", "second": "skipped", "third": "not-run"}
    (attempt,) = built.tasks["first"].attempts
    assert (attempt.outcome.value, attempt.cost_usd) == ("config", 0.0)
    assert "no-such-agent" in attempt.detail
    assert built.report.cost_usd == 0.0
    assert built.report.state is RunState.FAILED
    assert built.report.reason.startswith("config: ")


async def test_nothing_is_paid_twice_when_a_run_is_entered_again(project: Project) -> None:
    calls = project.signals / "calls"
    tasks = [task("done"), task("fails"), task("after", "fails")]
    script: Script = {
        "done": [note(calls, "done"), write("done.txt")],
        "fails": {1: [note(calls, "fails"), fail()], 2: [note(calls, "fails"), write("fails.txt")]},
        "after": [note(calls, "after"), write("after.txt")],
    }
    first = await project.build(tasks, script)
    assert first.report.state is RunState.PARTIAL
    branch = first.report.branch
    assert branch is not None
    # Without Prefect's copies of the results, git and the records alone say what is done.
    for result in first.folder.results.rglob("*"):
        result.unlink()
    second = await project.enter(first.report.flow_run_id)

    assert sorted(calls.read_text().split()) == ["after", "done", "fails", "fails"]
    assert second.report.state is RunState.LANDED
    assert {"done.txt", "fails.txt", "after.txt"} <= project.files("main")
    assert project.git("branch", "--list", branch) == "", "the branch of the first entry is not needed any more"
    assert [each.number for each in second.tasks["fails"].attempts] == [1, 2]
    third = await project.enter(first.report.flow_run_id)
    assert len(calls.read_text().split()) == 4
    assert third.report.landed_commit == second.report.landed_commit
    assert len(third.account.calls) == 4
    assert len(third.of(EventKind.RUN_PREPARED)) == 3
