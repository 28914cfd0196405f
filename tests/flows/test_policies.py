"""What follows when an agent is cut short: who waits, who goes on where, and whom it costs a retry."""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import VariableCreate

from graftline.agents.outcome import OutcomeKind as K
from graftline.gate import Gate
from graftline.journal import EventKind
from graftline.report.model import RunState
from graftline.tasks import attempt as attempt_tasks
from graftline.tasks import providers
from graftline.tasks.providers import variable_name
from tests.flows import claude
from tests.pipeline import Built, Project, Tables, runs_flows, task

pytestmark = runs_flows

HOST = "model.invalid"
QUICK: Tables = {"provider": {"first_wait_seconds": 0.05}}


@dataclass(frozen=True)
class Talking:
    """A project whose agent is the stand-in CLI."""

    project: Project

    def settings(self, script: dict[str, list[list[str]]], **tables: Mapping[str, object]) -> Tables:
        """Write the agent's script; the settings to run it with."""
        folder = self.project.signals
        (folder / "script.json").write_text(json.dumps(script))
        program = folder / "claude"
        words = shlex.join([sys.executable, claude.__file__, str(folder)])
        program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        program.chmod(0o755)
        profile = {"type": "claude-code", "binary": str(program), "base_url": f"http://{HOST}", "api_key": "sk-test"}
        return {"agent": {"backend": "talking"}, "agents.talking": profile, **QUICK, **tables}

    def calls(self, name: str) -> list[dict[str, str]]:
        """What each call of a task was given."""
        lines = (self.project.signals / "calls").read_text().splitlines()
        return [call for call in map(json.loads, lines) if call["name"] == name]


@pytest.fixture
def talking(project: Project, monkeypatch: pytest.MonkeyPatch) -> Talking:
    monkeypatch.setattr(providers, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(attempt_tasks, "RETRY_DELAYS_SECONDS", [0])
    return Talking(project)


def outcomes(built: Built, name: str) -> list[K]:
    return [attempt.outcome for attempt in built.tasks[name].attempts]


async def gate_on_server() -> object:
    async with get_client() as client:
        variable = await client.read_variable_by_name(variable_name(HOST))
        return variable.value if variable is not None else None


async def test_an_overloaded_provider_is_waited_for_and_costs_no_retry(talking: Talking) -> None:
    script = {
        "a": [["half.txt", "overloaded"], ["overloaded"], ["whole.txt", "ok"]],
        "b": [["broken.txt", "ok"]],
        "heal b": [["overloaded"], ["mended.txt", "ok"]],
    }
    test = {"command": ["sh", "-c", "! test -e broken.txt || test -e mended.txt"]}
    built = await talking.project.build([task("a"), task("b", "a")], {}, settings=talking.settings(script, test=test))

    assert built.report.state is RunState.LANDED
    assert outcomes(built, "a") == [K.OVERLOADED, K.OVERLOADED, K.OK], "although no task has retries"
    assert {"half.txt", "whole.txt"} <= talking.project.files()
    first, *others = talking.calls("a")
    session = first["argv"][first["argv"].index("--session-id") + 1]
    assert all(call["argv"][call["argv"].index("--resume") + 1] == session for call in others)
    assert {(call["cwd"], call["home"]) for call in others} == {(first["cwd"], first["home"])}
    assert "do a" in first["prompt"]
    assert "do a" not in others[0]["prompt"], "a session knows its task"
    assert "API Error: 529 Overloaded" in others[0]["prompt"]
    waited = built.of(EventKind.PROVIDER_WAITED_FOR)
    assert {(entry.task, entry.data["provider"]) for entry in waited} == {("a", HOST), ("b", HOST)}
    assert "529" in str(waited[0].data["reason"])
    assert [heal.outcome for heal in built.report.heals] == ["healed"]
    assert len(talking.calls("heal b")) == 2, "a healer waits as well"
    assert built.report.cost_usd == 0.125 * 3 + 0.25 * 3
    assert not built.report.salvage, "what was unfinished has been finished"
    assert await gate_on_server() is None, "an answer opens the gate for good"


async def test_a_closed_gate_holds_back_every_run_until_it_is_opened(talking: Talking) -> None:
    gate = Gate(until=datetime.now(UTC) + timedelta(hours=1), waits=1, reason="closed by another run")
    async with get_client() as client:
        await client.create_variable(VariableCreate(name=variable_name(HOST), value=gate.model_dump(mode="json")))
    talking.project.configure({}, {}, talking.settings({"a": [["a.txt", "ok"]], "b": [["b.txt", "ok"]]}))
    run_id = await talking.project.schedule([task("a"), task("b")])

    def waiting() -> set[str | None]:
        return {e.task for e in talking.project.journal(run_id) if e.event is EventKind.PROVIDER_WAITED_FOR}

    async with anyio.create_task_group() as group:
        group.start_soon(talking.project.enter, run_id)
        with anyio.fail_after(60):
            while waiting() != {"a", "b"}:  # noqa: ASYNC110  the journal is a file
                await anyio.sleep(0.02)
        assert not (talking.project.signals / "calls").exists()
        async with get_client() as client:
            await client.delete_variable_by_name(variable_name(HOST))
    built = await talking.project.built(run_id)
    assert built.report.state is RunState.LANDED


async def test_a_provider_that_stays_away_fails_the_task_in_the_end_and_keeps_its_work(talking: Talking) -> None:
    settings = talking.settings(
        {"a": [["half.txt", "overloaded"]]}, provider={"first_wait_seconds": 0.05, "give_up_seconds": 0.1}
    )
    built = await talking.project.build([task("a")], {}, settings=settings)

    assert built.report.state is RunState.FAILED
    assert set(outcomes(built, "a")) == {K.OVERLOADED}
    assert len(outcomes(built, "a")) > 1
    assert built.hub("show", f"{built.report.salvage[-1].ref}:half.txt") == "half.txt"
    async with get_client() as client:
        await client.delete_variable_by_name(variable_name(HOST))


async def test_what_was_cut_short_goes_on_in_its_worktree_and_its_session_where_that_is_of_use(
    talking: Talking,
) -> None:
    script = {
        "turns": [["half.txt", "max-turns"], ["whole.txt", "ok"]],
        "killed": [["half.md", "killed"], ["whole.md", "ok"]],
        "lost": [["half.py", "killed"], ["lost"], ["whole.py", "ok"]],
    }
    settings = talking.settings(script, retries={"max_per_task": 1})
    built = await talking.project.build([task("turns"), task("killed"), task("lost")], {}, settings=settings)

    assert built.report.state is RunState.LANDED
    assert {name: outcomes(built, name) for name in script} == {
        "turns": [K.MAX_TURNS, K.OK],
        "killed": [K.INTERRUPTED, K.OK],
        "lost": [K.INTERRUPTED, K.OK],
    }
    assert {f"{part}.{kind}" for part in ("half", "whole") for kind in ("txt", "md", "py")} <= talking.project.files()
    for name in script:
        first, *others = talking.calls(name)
        assert {(call["cwd"], call["home"]) for call in others} == {(first["cwd"], first["home"])}
    resumed = {name: ["--resume" in call["argv"] for call in talking.calls(name)] for name in script}
    assert resumed == {"turns": [False, False], "killed": [False, True], "lost": [False, True, False]}
    for name, half in (("turns", "half.txt"), ("lost", "half.py")):
        told = talking.calls(name)[-1]["prompt"]
        assert f"do {name}" in told
        assert "# What is done already" in told
        assert f"{half} | 1 +" in told, "what it had changed"
        assert f"wrote {half}" in told, "and its last words"
    assert any("could not be gone on with" in note for note in built.report.notes)


async def test_a_refused_key_stops_the_run_and_what_is_finished_is_integrated(talking: Talking) -> None:
    script = {"a": [["a.txt", "ok"]], "b": [["auth"]], "c": [["c.txt", "ok"]]}
    built = await talking.project.build(
        [task("a"), task("b", "a"), task("c", "b")], {}, settings=talking.settings(script)
    )

    assert (built.report.state, built.states["a"]) == (RunState.FAILED, "succeeded")
    assert outcomes(built, "b") == [K.AUTH]
    assert built.report.branch is not None
    assert "a.txt" in talking.project.files(built.report.branch)
