"""Plans by the real CLIs that fill forms: without tools, in an empty folder, and with their own account of the cost."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import JsonValue

from graftline.agents.outcome import OutcomeKind
from graftline.journal import EventKind
from graftline.ledger import Role
from graftline.planning.asking import Asking
from graftline.planning.choice import choose_provider
from graftline.planning.provider import Message, Question
from graftline.process import ProcessIdentity, is_alive
from tests.e2e.clis import CLAUDE, CODEX, Cli
from tests.e2e.graftline_process import Agents
from tests.model_server import ModelServer
from tests.planning.accounts import Account, open_account

pytestmark = pytest.mark.cli

each_cli = pytest.mark.parametrize("cli", [CLAUDE, CODEX], ids=lambda cli: cli.type)

PLAN: dict[str, JsonValue] = {"title": "Say hello", "tasks": [{"id": "hello", "writes": ["hello.py"]}]}
QUESTION = Question(
    purpose="plan",
    system="You plan, and that is all you do.",
    messages=(
        Message("user", "REPOSITORY of one file"),
        Message("assistant", '{"title": ""}'),
        Message("user", "That has no tasks."),
    ),
    schema={
        "$defs": {
            "Task": {
                "type": "object",
                "properties": {
                    "id": {"type": "string", "minLength": 1},
                    "writes": {"type": "array", "items": {"type": "string"}, "default": []},
                },
                "required": ["id"],
            }
        },
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "tasks": {"type": "array", "items": {"$ref": "#/$defs/Task"}},
        },
        "required": ["title", "tasks"],
    },
    schema_name="plan",
    max_output_tokens=2000,
)


@pytest.fixture
def agents(installed_clis: Mapping[Cli, Path], tmp_path: Path, model_server: ModelServer) -> Agents:
    return Agents.around(installed_clis, tmp_path / "agents", model_server)


def environ_of(cli: Cli, home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), cli.key_variable: cli.api_key}


def opened(cli: Cli, agents: Agents, folder: Path) -> Account:
    """Somebody whose planner is the CLI, by a profile of its own."""
    return open_account(folder, **tomllib.loads(agents.profiles()), planner={"agent": cli.profile})


@each_cli
async def test_a_cli_fills_in_the_form_and_does_nothing_else(
    cli: Cli, agents: Agents, model_server: ModelServer, isolated_environment: Path, tmp_path: Path
) -> None:
    usage: dict[str, JsonValue] = {"input_tokens": 900, "output_tokens": 70, "cache_read_tokens": 100}
    scenario = {"match": "REPOSITORY", "without_tools": True, "turns": [{"structured": PLAN, "usage": usage}]}
    model_server.scenario({"scenarios": [scenario]})
    payer = opened(cli, agents, tmp_path)
    chosen = await choose_provider(payer.settings, environ_of(cli, isolated_environment))
    assert (chosen.provider.type, chosen.provider.backend, chosen.provider.model) == ("agent", cli.type, cli.model)
    ask = Asking(payer, chosen.provider, tmp_path / "answers")
    answer = await ask(QUESTION)
    assert (answer.data, answer.problem) == (PLAN, "")
    assert await ask(QUESTION) == answer

    (record,) = model_server.requests()
    assert record.api_key == cli.api_key
    for said in (QUESTION.system, *(message.text for message in QUESTION.messages)):
        assert said in record.text
    assert not {"Bash", "Write", "Edit", "Read", "Glob", "WebFetch"} & set(record.request.tools)
    assert not {"shell", "exec_command", "local_shell", "web_search"} & set(record.request.tools)

    (call,) = payer.calls
    assert (call.role, call.backend, call.profile, call.outcome) == (
        Role.PLANNER,
        cli.type,
        cli.profile,
        OutcomeKind.OK,
    )
    assert (call.usage.input_tokens, call.usage.output_tokens, call.usage.cached_tokens) == (900, 70, 100)
    assert (call.usage.cost_usd is not None) == (cli is CLAUDE)
    assert call.model == cli.model

    (folder,) = (tmp_path / "answers").glob(f"*/{call.id}")
    assert not any((folder / "empty").iterdir()), "it works on nothing"
    assert not (folder / "home").exists(), "and leaves no session"
    (arguments,) = agents.command_lines(cli)
    assert not [word for word in arguments if "dangerously" in word]
    if cli is CLAUDE:
        limit = float(arguments[arguments.index("--max-budget-usd") + 1])
        assert limit == pytest.approx(call.reserved_usd)
    (begun,) = payer.told(EventKind.PROCESS_STARTED)
    assert begun["what"] == "planner", "whoever finds us dead ends it"
    assert not is_alive(ProcessIdentity(int(str(begun["pid"])), str(begun["started"])))


@each_cli
async def test_what_a_cli_says_around_the_plan_is_left_out(
    cli: Cli, agents: Agents, model_server: ModelServer, isolated_environment: Path, tmp_path: Path
) -> None:
    fenced = f"Here is {{your}} plan:\n```json\n{json.dumps(PLAN, indent=2)}\n```"
    # Claude Code insists on its own way to take an answer for a few turns more.
    scenario = {"match": "REPOSITORY", "without_tools": True, "turns": [{"text": fenced}] * 20}
    model_server.scenario({"scenarios": [scenario]})
    payer = opened(cli, agents, tmp_path)
    chosen = await choose_provider(payer.settings, environ_of(cli, isolated_environment))
    assert (await Asking(payer, chosen.provider, tmp_path / "answers")(QUESTION)).data == PLAN
