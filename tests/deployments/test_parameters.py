"""What other systems send: refused by the server as its schema says, and by the flow where the server was told not to.

The deployment is made from the flow as `prefect deploy` makes it, so its schema is the one of prefect.yaml's.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectHTTPStatusError
from prefect.flow_engine import run_flow_async

from graftline.flows.build import build
from graftline.store import state_place
from tests.pipeline import Project, runs_flows

pytestmark = runs_flows

PLAN = {"tasks": [{"id": "a", "prompt": "do a"}]}


@dataclass(frozen=True)
class Wrong:
    """A request that must not run, and how it is refused: by the server's schema, and by the flow itself."""

    name: str
    fields: dict[str, object]
    server: str
    flow: str


WRONG = [
    Wrong(
        "no plan",
        {},
        "'request'. Failure reason: 'prompt' is a required property",
        "request: Value error, give one of prompt, plan_file and plan, and not two",
    ),
    Wrong(
        "an empty form",
        {"prompt": "", "plan_file": "", "plan": None, "target": "", "agent": "", "limits": {}},
        "'request.prompt'. Failure reason: '' should be non-empty",
        "request: Value error, give one of prompt, plan_file and plan, and not two",
    ),
    Wrong(
        "two plans",
        {"plan_file": "plan.md", "plan": PLAN},
        "'request.plan_file'. Failure reason: 'plan.md' is expected to be empty",
        "request: Value error, give one of prompt, plan_file and plan, and not two",
    ),
    Wrong(
        "words and a plan",
        {"prompt": "Add a limit", "plan_file": "plan.md"},
        "'request.prompt'. Failure reason: 'Add a limit' is expected to be empty",
        "request: Value error, give one of prompt, plan_file and plan, and not two",
    ),
    Wrong(
        "an unknown key",
        {"plan_file": "plan.md", "max_cost": 1},
        "'request'. Failure reason: Additional properties are not allowed ('max_cost' was unexpected)",
        "request.max_cost: Extra inputs are not permitted",
    ),
    Wrong(
        "an unknown limit",
        {"plan_file": "plan.md", "limits": {"agents": 2}},
        "'request.limits'. Failure reason: Additional properties are not allowed ('agents' was unexpected)",
        "request.limits.agents: Extra inputs are not permitted",
    ),
    Wrong(
        "a wrong type",
        {"plan_file": ["plan.md"]},
        "'request.plan_file'. Failure reason: ['plan.md'] is not of type 'string'",
        "request.plan_file: Input should be a valid string",
    ),
    Wrong(
        "a choice that does not exist",
        {"plan_file": "plan.md", "land": "push"},
        "'request.land'. Failure reason: 'push' is not one of ['auto', 'branch']",
        "request.land: Input should be 'auto' or 'branch'",
    ),
    Wrong(
        "too many agents",
        {"plan_file": "plan.md", "limits": {"max_concurrent": 900}},
        "'request.limits.max_concurrent'. Failure reason: 900 is greater than the maximum of 256",
        "request.limits.max_concurrent: Input should be less than or equal to 256",
    ),
    Wrong(
        "no time",
        {"plan_file": "plan.md", "limits": {"task_timeout_seconds": 0}},
        "'request.limits.task_timeout_seconds'. Failure reason: 0 is less than or equal to the minimum of 0",
        "request.limits.task_timeout_seconds: Input should be greater than 0",
    ),
    Wrong(
        "a task without a prompt",
        {"plan": {"tasks": [{"id": "a"}]}},
        "'request.plan.tasks[0]'. Failure reason: 'prompt' is a required property",
        "request.plan.tasks.0.prompt: Field required",
    ),
    Wrong(
        "a plan without tasks",
        {"plan": {"tasks": []}},
        "'request.plan.tasks'. Failure reason: [] should be non-empty",
        "request.plan.tasks: Tuple should have at least 1 item after validation, not 0",
    ),
]
# What JSON Schema cannot say, only the flow refuses.
ONLY_THE_FLOW = [
    ({"tasks": [{"id": "a", "prompt": "x", "depends_on": ["b"]}]}, "request.plan: task 'a': there is no task 'b'"),
    ({"tasks": [{"id": "a", "prompt": "x", "writes": ["../b"]}]}, "request.plan.tasks.0.writes.0:"),
]

BUSY_TRIES = 20
"""How often a server on SQLite may say that another one is writing; each answer takes it seconds."""


@dataclass(frozen=True)
class Sender:
    """Another system, which starts runs over REST; nobody picks them up."""

    rest: httpx.AsyncClient
    deployment: UUID

    async def send(self, fields: dict[str, object], **options: object) -> httpx.Response:
        """The server's answer to a request."""
        body = {"parameters": {"request": fields}, **options}
        for _ in range(BUSY_TRIES):
            answer = await self.rest.post(f"deployments/{self.deployment}/create_flow_run", json=body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
        return answer

    async def carry_out(self, fields: dict[str, object]) -> State[object]:
        """How the run of a request ends that the server was told not to validate, carried out as a worker does."""
        answer = await self.send(fields, enforce_parameter_schema=False)
        assert answer.status_code == 201, answer.text
        async with get_client() as client:
            flow_run = await client.read_flow_run(UUID(answer.json()["id"]))
        state = await run_flow_async(build, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
        assert isinstance(state, State)
        return state


@pytest_asyncio.fixture(loop_scope="session")
async def sender(prefect_server: None) -> AsyncIterator[Sender]:
    """A deployment of the flow, and who starts runs of it."""
    del prefect_server  # it only has to be there
    deployment = await (await build.ato_deployment("build")).aapply()
    async with get_client() as client, httpx.AsyncClient(base_url=str(client.api_url), timeout=60) as rest:
        yield Sender(rest, deployment)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
async def test_the_server_refuses_a_wrong_request_and_the_flow_does_when_the_server_was_told_not_to(
    wrong: Wrong, sender: Sender, project: Project
) -> None:
    before = project.snapshot()
    request = {"repository": str(project.path), **wrong.fields}

    answer = await sender.send(request)
    state = await sender.carry_out(request)

    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        f"Error creating flow run: Validation failed for field {wrong.server}",
    )
    assert state.name == "Failed"
    assert wrong.flow in (state.message or "")
    assert project.snapshot() == before
    assert not state_place(os.environ).exists(), "nothing was prepared, so nothing can have been spent"


@pytest.mark.parametrize(("plan", "reason"), ONLY_THE_FLOW)
async def test_what_a_schema_cannot_say_the_flow_refuses(
    plan: dict[str, object], reason: str, sender: Sender, project: Project
) -> None:
    before = project.snapshot()

    state = await sender.carry_out({"repository": str(project.path), "plan": plan})

    assert state.name == "Failed"
    assert reason in (state.message or "")
    assert project.snapshot() == before
    assert not state_place(os.environ).exists()


@pytest.mark.usefixtures("prefect_server")
async def test_a_deployment_may_decide_the_request_beforehand_and_is_refused_a_wrong_one() -> None:
    right = {"request": {"repository": "/srv/shop", "plan_file": "plan.md", "land": "branch"}}
    wrong = {"request": {**right["request"], "land": "push"}}

    kept = await (await build.ato_deployment("nightly", parameters=right)).aapply()

    async with get_client() as client:
        assert (await client.read_deployment(kept)).parameters == right
    with pytest.raises(PrefectHTTPStatusError, match=r"Validation failed for field 'request\.land'"):
        await (await build.ato_deployment("nightly", parameters=wrong)).aapply()
