"""The desk: a request becomes a proposal, with a real client of a model's API, real pytest and real books."""

from collections.abc import Iterator

import pytest
from pydantic import JsonValue

from graftline.errors import PlannerError
from graftline.journal import EventKind
from graftline.ledger import Role
from graftline.planning.desk import propose_plan
from graftline.run import Run
from tests.model_server import ModelServer
from tests.pipeline import PYTEST, Project, Tables
from tests.planning.drafting import draft, task

REQUEST = "Add the modules one and two."
PASSES = "def test_one():\n    assert True\n"


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def answers(server: ModelServer, *turns: dict[str, JsonValue]) -> None:
    """Have the request answered, and then each message that says what was wrong with the answer before."""
    prompts = [REQUEST, *(f"number {number} of" for number in range(1, len(turns)))]
    scenarios = [
        {"match": prompt, "without_tools": True, "turns": [turn]} for prompt, turn in zip(prompts, turns, strict=True)
    ]
    server.scenario({"scenarios": scenarios})


async def open_request(
    project: Project, server: ModelServer, monkeypatch: pytest.MonkeyPatch, **planner: JsonValue
) -> Run:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    table = {"provider": "anthropic", "model": "m", "base_url": server.url_for(project.path.parent.name), **planner}
    settings: Tables = {**PYTEST, "planner": table, "prices.m": {"input": 1.0, "output": 1.0}}
    return await project.open(None, {}, settings=settings, prompt=REQUEST)


def calls(run: Run) -> list[Role]:
    return [call.role for call in run.ledger.account(run.id).calls]


async def test_a_request_becomes_a_proposal_whose_tests_fail_first_and_is_paid_for_once(
    offline_project: Project, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await open_request(offline_project, server, monkeypatch)
    answers(
        server,
        {"text": "Let me see…"},
        {"structured": draft(task("one"), task("two", writes=["calc"]))},
        {"structured": draft(task("one", acceptance=[{"path": "tests/test_one.py", "content": PASSES}]), task("two"))},
        {"structured": draft()},
    )
    before = len(server.requests())
    proposed = await propose_plan(run, 1)
    asked = server.requests()[before:]

    assert [spec.id for spec in proposed.plan.tasks] == ["one", "two"]
    assert (proposed.by, len(proposed.templates), len(asked)) == ("planner", 12, 4)
    told = [record.request.items[-1].text for record in asked]
    assert "there is no JSON object in the answer" in told[1]
    assert "task 'two': it writes 'calc'" in told[2]
    assert "'tests/test_one.py::test_one': passes on the repository as it is" in told[3]
    assert str(offline_project.path.parent) not in str(told), "no place of this machine is told"
    scaffold = await run.hub.resolve(run.ref("scaffold"))
    assert await run.hub.changed_paths(run.base, str(scaffold)) == ("tests/test_one.py", "tests/test_two.py")
    assert calls(run) == [Role.PLANNER] * 4

    (run.folder.planning / "proposal-1.json").unlink()  # as if it had been killed right before
    assert await propose_plan(run, 1) == proposed
    assert len(server.requests()) == before + 4
    assert calls(run) == [Role.PLANNER] * 4
    tried = [entry for entry in run.journal.entries() if entry.event is EventKind.VERIFY_STARTED]
    assert len(tried) == 2, "nor are the same acceptance tests tried twice"


async def test_answers_that_stay_malformed_end_in_one_error_and_no_agent_is_called(
    offline_project: Project, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await open_request(offline_project, server, monkeypatch, max_replan_attempts=1)
    answers(server, {"structured": draft(task("one", "two"), task("two", "one", writes=["../x"]))}, {"structured": {}})
    with pytest.raises(PlannerError, match=r"in 2 tries.*(?s:.)*the key `tasks` is missing"):
        await propose_plan(run, 1)
    assert calls(run) == [Role.PLANNER] * 2
    with pytest.raises(PlannerError):
        await propose_plan(run, 1)
    assert calls(run) == [Role.PLANNER] * 4, "what nothing came of is asked anew"
    assert not [entry for entry in run.journal.entries() if entry.event is EventKind.PROCESS_STARTED]
