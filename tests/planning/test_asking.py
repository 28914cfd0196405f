"""Asking for a plan: what is asked is paid for once, waited for, and never lost."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from graftline.agents.outcome import OutcomeKind, Usage
from graftline.caps import Cap, Scope
from graftline.errors import ExitCode, PlannerError, PlannerUnavailableError
from graftline.journal import EventKind
from graftline.ledger import CostSource, NextCall, Role
from graftline.planning.anthropic_provider import AnthropicProvider
from graftline.planning.asking import Asking, settle_answered
from graftline.planning.provider import Answer, Message, Question, Refusal
from graftline.process import OnStart
from graftline.run import BUDGET_REACHED
from graftline.settings import Settings
from tests.model_server import ModelServer
from tests.planning.accounts import open_account

QUESTION = Question(
    purpose="plan",
    system="You plan.",
    messages=(Message("user", "REPOSITORY"),),
    schema={"type": "object", "properties": {"tasks": {"type": "array", "items": {"type": "string"}}}},
    schema_name="plan",
    max_output_tokens=1000,
)
PLAN: dict[str, JsonValue] = {"tasks": ["a \N{SNOWMAN}"]}
USED: dict[str, JsonValue] = {"input_tokens": 1_000_000, "output_tokens": 100_000, "cache_read_tokens": 0}
PRICES = {"m": {"input": 3, "output": 15}}


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def model(server: ModelServer, *turns: Mapping[str, JsonValue]) -> AnthropicProvider:
    scenario = {"match": "REPOSITORY", "without_tools": True, "turns": turns}
    server.scenario({"scenarios": [scenario]})
    return provider(server)


def provider(server: ModelServer, name: str = "m") -> AnthropicProvider:
    timeouts = Settings().timeouts
    return AnthropicProvider(model=name, base_url=server.url, credentials={"api_key": "sk-scripted"}, timeouts=timeouts)


async def test_an_answer_is_paid_for_once_and_given_again(server: ModelServer, tmp_path: Path) -> None:
    payer = open_account(tmp_path, prices=PRICES)
    one = model(server, {"structured": PLAN, "usage": USED}, {"text": "no plan"})
    before = len(server.requests())
    answers = tmp_path / "answers"
    first = await Asking(payer, one, answers)(QUESTION)
    again = await Asking(payer, provider(server), answers)(QUESTION)
    assert first == again
    assert (first.data, first.problem) == (PLAN, "")
    (call,) = payer.calls
    assert (call.role, call.task, call.backend, call.model, call.outcome) == (
        Role.PLANNER,
        None,
        "anthropic",
        "m",
        OutcomeKind.OK,
    )
    assert (call.usage.cost_usd, call.cost_source) == (4.5, CostSource.PRICED)
    assert {path.stat().st_mode & 0o777 for path in answers.glob("*.json")} == {0o600}
    for other in (
        replace(QUESTION, purpose="critic"),
        replace(QUESTION, system="You plan well."),
        replace(QUESTION, messages=(*QUESTION.messages, Message("assistant", "?"), Message("user", "Go on"))),
        replace(QUESTION, schema={"type": "object"}),
        replace(QUESTION, max_output_tokens=999),
    ):
        await Asking(payer, one, answers)(other)
    await Asking(payer, provider(server, "other"), answers)(QUESTION)
    assert len(payer.calls) == len(server.requests()) - before == 7, "another question, or another model to answer it"


async def test_answers_that_nothing_came_of_are_not_given_again(server: ModelServer, tmp_path: Path) -> None:
    payer = open_account(tmp_path, prices=PRICES)
    answers = tmp_path / "answers"
    kept = replace(QUESTION, purpose="critic")
    model(server, {"structured": PLAN, "usage": USED})
    await Asking(payer, provider(server), answers)(kept)
    ask = Asking(payer, provider(server), answers)
    first = await ask(QUESTION)
    ask.set_aside()
    assert len(list(answers.glob("*.json"))) == 2, "it can still be looked at"
    assert await Asking(payer, provider(server), answers)(QUESTION) == first
    await Asking(payer, provider(server), answers)(kept)
    assert len(payer.calls) == 3


async def test_an_answer_outlives_the_process_that_had_not_entered_it_yet(server: ModelServer, tmp_path: Path) -> None:
    """The ledger is put back to what it was while the call went on: what `kill -9` right after the answer leaves."""
    payer = open_account(tmp_path, prices=PRICES)
    answers = tmp_path / "answers"

    class Killed(AnthropicProvider):
        async def ask(
            self, question: Question, *, budget_usd: float | None, folder: Path, on_start: OnStart
        ) -> Answer | Refusal:
            for file in tmp_path.glob("ledger.db*"):
                shutil.copy(file, tmp_path / f"then-{file.name}")
            return await super().ask(question, budget_usd=budget_usd, folder=folder, on_start=on_start)

    model(server, {"structured": PLAN, "usage": USED})
    dying = Killed(
        model="m", base_url=server.url, credentials={"api_key": "sk-scripted"}, timeouts=payer.settings.timeouts
    )
    first = await Asking(payer, dying, answers)(QUESTION)
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    for file in tmp_path.glob("then-*"):
        file.rename(tmp_path / file.name.removeprefix("then-"))
    unanswered = NextCall(run_id=payer.id, role=Role.PLANNER, backend="anthropic")
    payer.ledger.reserve(unanswered, (Cap(Scope.RUN, 100),), lambda _: 0.5)
    assert [call.is_open for call in payer.calls] == [True, True]

    settle_answered(payer, answers)
    call, other = payer.calls
    assert (call.outcome, call.usage.cost_usd, call.model) == (OutcomeKind.OK, 4.5, "m")
    assert other.is_open, "nobody knows what came of that one"
    before = len(server.requests())
    assert await Asking(payer, provider(server), answers)(QUESTION) == first
    assert (len(payer.calls), len(server.requests())) == (2, before), "it is not paid for again"


async def test_a_provider_that_is_busy_is_waited_for_while_the_clock_stands_still(
    server: ModelServer, tmp_path: Path
) -> None:
    payer = open_account(tmp_path, prices=PRICES, provider={"first_wait_seconds": 0.05, "longest_wait_seconds": 1})
    one = model(server, {"error": "rate_limit", "times": 2, "structured": PLAN, "usage": USED})
    with payer.clock.limit(60) as limit:
        before = limit.deadline
        answer = await Asking(payer, one, tmp_path / "answers")(QUESTION)
        assert limit.deadline >= before + 0.15, "two waits, the second of them twice as long"
    assert answer.data == PLAN
    assert [(call.outcome, call.usage.cost_usd) for call in payer.calls] == [
        (OutcomeKind.RATE_LIMITED, 0.0),
        (OutcomeKind.RATE_LIMITED, 0.0),
        (OutcomeKind.OK, 4.5),
    ]
    told = payer.told(EventKind.PROVIDER_WAITED_FOR)
    assert [each["provider"] for each in told] == [one.host] * 2
    assert "rate limit" in str(told[0]["reason"])


@pytest.mark.parametrize(
    ("turn", "kind", "words"),
    [
        (
            {"error": "auth"},
            PlannerUnavailableError,
            "auth: HTTP 401: authentication_error: invalid x-api-key. Look at",
        ),
        ({"error": "credit"}, PlannerUnavailableError, "credit balance is too low"),
        ({"error": "not_found"}, PlannerUnavailableError, "Look at `model`"),
        ({"error": "context"}, PlannerError, "Lower [planner] context_tokens"),
        ({"error": "bad_request"}, PlannerError, "invalid request"),
        ({"error": "overloaded", "retry_after_seconds": 3600}, PlannerUnavailableError, "overloaded: HTTP 529"),
    ],
    ids=["key", "credit", "model", "context", "request", "too long a wait"],
)
async def test_a_refusal_that_waiting_does_not_mend_is_one_error_that_says_what_to_do(
    server: ModelServer, tmp_path: Path, turn: Mapping[str, JsonValue], kind: type[PlannerError], words: str
) -> None:
    payer = open_account(tmp_path, prices=PRICES, provider={"give_up_seconds": 60})
    before = len(server.requests())
    with pytest.raises(PlannerError) as error:
        await Asking(payer, model(server, turn), tmp_path / "answers")(QUESTION)
    assert type(error.value) is kind
    assert words in str(error.value)
    unavailable = kind is PlannerUnavailableError
    assert error.value.exit_code == (ExitCode.CANNOT_RUN if unavailable else ExitCode.WORK_FAILED)
    assert len(server.requests()) == before + 1
    (call,) = payer.calls
    assert (call.is_open, call.usage.cost_usd) == (False, 0.0)


async def test_without_room_under_a_cap_nobody_is_asked(server: ModelServer, tmp_path: Path) -> None:
    payer = open_account(tmp_path, prices=PRICES, cost={"max_usd": 0.3, "unknown_call_usd": 0.5})
    before = len(server.requests())
    with pytest.raises(PlannerError, match=r"cap of \$0\.30 leaves \$0\.30, and the next call counts as \$0\.50"):
        await Asking(payer, model(server, {"structured": PLAN}), tmp_path / "answers")(QUESTION)
    assert (payer.calls, payer.stop_reason, len(server.requests())) == ((), BUDGET_REACHED, before)
    (cap,) = payer.told(EventKind.CAP_REACHED)
    assert cap["called"] is False


async def test_a_call_that_is_cancelled_counts_at_its_reservation(server: ModelServer, tmp_path: Path) -> None:
    payer = open_account(tmp_path, prices=PRICES)
    one = model(server, {"hang": True, "text": "x"})
    before = len(server.requests())
    task = asyncio.ensure_future(Asking(payer, one, tmp_path / "answers")(QUESTION))
    await asyncio.to_thread(server.wait_for, lambda _: len(server.requests()) > before)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (call,) = payer.calls
    assert (call.outcome, call.usage, call.estimated_usd) == (OutcomeKind.INTERRUPTED, Usage(), 0.5)


async def test_half_characters_and_a_damaged_record_stand_in_nobodys_way(server: ModelServer, tmp_path: Path) -> None:
    payer = open_account(tmp_path, prices=PRICES)
    answers = tmp_path / "answers"
    strange = replace(QUESTION, messages=(Message("user", "REPOSITORY \udcff"),))
    one = model(server, {"text": 'So: {"tasks": []}', "usage": USED})
    first = await Asking(payer, one, answers)(strange)
    assert first.data == {"tasks": []}
    (record,) = answers.glob("*.json")
    record.write_bytes(record.read_bytes()[:-20])
    assert await Asking(payer, one, answers)(strange) == first
    assert len(payer.calls) == 2, "what cannot be read is asked again"
