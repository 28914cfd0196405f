"""The providers with an API, through the real libraries: what they ask, and what comes of each way to answer."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pydantic import JsonValue

from graftline.agents.outcome import OutcomeKind, Usage
from graftline.planning.anthropic_provider import AnthropicProvider
from graftline.planning.openai_provider import OpenAIProvider
from graftline.planning.provider import Answer, Message, Provider, Question, Refusal
from graftline.settings import TimeoutSettings
from tests.model_server import ModelServer, RequestRecord

SCHEMA: dict[str, JsonValue] = {
    "$defs": {"Task": {"type": "object", "properties": {"id": {"type": "string", "minLength": 1}}, "required": ["id"]}},
    "type": "object",
    "title": "Plan",
    "properties": {
        "title": {"type": "string", "default": ""},
        "tasks": {"type": "array", "items": {"$ref": "#/$defs/Task"}},
    },
    "required": ["tasks"],
}
QUESTION = Question(
    purpose="plan",
    system="You plan.",
    messages=(Message("user", "REPOSITORY of the request"), Message("assistant", "{}"), Message("user", "Once more")),
    schema=SCHEMA,
    schema_name="plan",
    max_output_tokens=1234,
)
FIRST = Question("plan", "You plan.", QUESTION.messages[:1], SCHEMA, "plan", 1234)
PLAN: dict[str, JsonValue] = {"title": "A", "tasks": [{"id": "a"}]}
USED: dict[str, JsonValue] = {
    "input_tokens": 900,
    "output_tokens": 70,
    "cache_read_tokens": 5000,
    "cache_write_tokens": 40,
}
USAGE = Usage(input_tokens=940, output_tokens=70, cached_tokens=5000)
FREE = Usage(cost_usd=0.0, input_tokens=0, output_tokens=0)
TIMEOUTS = TimeoutSettings()
KEY = "sk-scripted"
PROVIDERS = ("anthropic", "openai")


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def provider(name: str, base_url: str, timeouts: TimeoutSettings = TIMEOUTS) -> Provider:
    if name == "anthropic":
        return AnthropicProvider(model="m", base_url=base_url, credentials={"api_key": KEY}, timeouts=timeouts)
    return OpenAIProvider(model="m", base_url=f"{base_url}/v1", api_key=KEY, timeouts=timeouts)


async def ask(one: Provider, question: Question = FIRST) -> Answer | Refusal:
    return await one.ask(question, budget_usd=None, folder=Path(), on_start=lambda _: None)


class Asked:
    """Providers whose model gives one answer after another, and what it was asked."""

    def __init__(self, server: ModelServer, name: str, turns: list[Mapping[str, JsonValue]]) -> None:
        self._server, self._before = server, len(server.requests())
        server.scenario({"scenarios": [{"match": "REPOSITORY", "without_tools": True, "turns": turns}]})
        self.provider = provider(name, server.url_for(name))

    def requests(self) -> tuple[RequestRecord, ...]:
        return self._server.requests()[self._before :]


def asked(server: ModelServer, name: str, *turns: Mapping[str, JsonValue]) -> Asked:
    return Asked(server, name, list(turns))


@pytest.mark.parametrize("name", PROVIDERS)
async def test_an_answer_is_held_to_the_schema_and_says_what_it_used(server: ModelServer, name: str) -> None:
    model = asked(server, name, {"text": "not this one"}, {"structured": PLAN, "usage": USED})
    answer = await ask(model.provider, QUESTION)
    assert answer == Answer(PLAN, json.dumps(PLAN), "end", USAGE, "m")
    (record,) = model.requests()
    assert record.request.stream
    assert (record.api_key, record.request.model, record.request.max_output_tokens) == (KEY, "m", 1234)
    schema = record.request.schema
    assert schema is not None
    assert schema.required == ["title", "tasks"], "what may be left out has to be written, or no server holds to it"
    assert [item.text for item in record.request.items] == ["You plan.", "REPOSITORY of the request", "{}", "Once more"]
    # OpenAI's API keeps what it likes.
    kept = ("You plan.", "REPOSITORY of the request") if name == "anthropic" else ()
    assert record.request.kept == kept


WAYS_TO_END: dict[str, tuple[Mapping[str, JsonValue], str, str]] = {
    "a fence and prose": ({"text": f"Here:\n```json\n{json.dumps(PLAN)}\n```\nDone {{so}}."}, "end", ""),
    "prose": ({"text": "I would rather talk."}, "end", "there is no JSON object"),
    "broken": ({"text": '{"tasks": [}'}, "end", "is broken"),
    "cut off": ({"text": json.dumps(PLAN)[:-4], "stop": "length"}, "length", "limit of 1234 tokens"),
    "cut off behind what looks whole": ({"structured": PLAN, "stop": "length"}, "length", "limit of 1234 tokens"),
    "refused": ({"text": "I will not.", "stop": "refused"}, "refused", "would not answer: I will not."),
    "nothing": ({"text": ""}, "end", "there is no JSON object"),
}


@pytest.mark.parametrize("name", PROVIDERS)
async def test_what_is_wrong_with_an_answer_is_a_sentence_and_it_is_paid_for(server: ModelServer, name: str) -> None:
    for case, (turn, stop, problem) in WAYS_TO_END.items():
        model = asked(server, name, {**turn, "usage": USED})
        answer = await ask(model.provider)
        assert isinstance(answer, Answer), case
        assert (answer.stop, answer.data, answer.usage) == (stop, None if problem else PLAN, USAGE), case
        assert problem in answer.problem, case
        assert bool(answer.problem) == bool(problem), case


REFUSALS: dict[str, tuple[Mapping[str, JsonValue], OutcomeKind, str, Usage]] = {
    "a limit on requests": ({"error": "rate_limit"}, OutcomeKind.RATE_LIMITED, "HTTP 429", FREE),
    "too much to do": ({"error": "overloaded"}, OutcomeKind.OVERLOADED, "verloaded", FREE),
    "a defect": ({"error": "server"}, OutcomeKind.TRANSIENT, "HTTP 500", FREE),
    "a wrong key": ({"error": "auth"}, OutcomeKind.AUTH, "HTTP 401", FREE),
    "a key for something else": ({"error": "permission"}, OutcomeKind.AUTH, "HTTP 403", FREE),
    "no such model": ({"error": "not_found"}, OutcomeKind.CONFIG, "no such model", FREE),
    "too long a question": ({"error": "context"}, OutcomeKind.CONTEXT_EXHAUSTED, "HTTP 400", FREE),
    "no money": ({"error": "credit"}, OutcomeKind.BILLING, "HTTP 4", FREE),
    "a used-up quota": ({"error": "quota"}, OutcomeKind.BILLING, "exceeded your current quota", FREE),
    "something else": ({"error": "bad_request"}, OutcomeKind.FAILED, "invalid request", FREE),
    "an error in the answer": ({"stream_error": "overloaded", "text": "x"}, OutcomeKind.OVERLOADED, "verload", Usage()),
    "an answer without an end": ({"drop": True, "text": "x"}, OutcomeKind.TRANSIENT, "before it was complete", Usage()),
}


@pytest.mark.parametrize("name", PROVIDERS)
async def test_every_refusal_says_its_kind_and_costs_nothing_unless_an_answer_had_begun(
    server: ModelServer, name: str
) -> None:
    for case, (turn, kind, words, usage) in REFUSALS.items():
        model = asked(server, name, turn)
        refusal = await ask(model.provider)
        assert isinstance(refusal, Refusal), case
        assert (refusal.kind, refusal.usage) == (kind, usage), case
        assert words in refusal.detail, case
        assert len(model.requests()) == 1, f"{case}: whoever pays decides whether to ask again, the library does not"


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_provider_says_when_it_takes_requests_again(server: ModelServer, name: str) -> None:
    before = datetime.now(UTC)
    refusal = await ask(asked(server, name, {"error": "overloaded", "retry_after_seconds": 90}).provider)
    assert isinstance(refusal, Refusal)
    assert refusal.retry_at is not None
    assert before < refusal.retry_at - timedelta(seconds=90) <= datetime.now(UTC)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_key_that_a_server_repeats_is_not_told(server: ModelServer, name: str) -> None:
    model = asked(server, name, {"error": "auth", "error_message": f"invalid: {KEY!r} is no good"})
    refusal = await ask(model.provider)
    assert isinstance(refusal, Refusal)
    assert refusal.detail.endswith("invalid: '[key]' is no good")


class Foreign(BaseHTTPRequestHandler):
    """A server of something else, which answers every request alike."""

    answer = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("<html>Welcome</html>", OutcomeKind.CONFIG),
        ("event: message_start\ndata: {not json\n\n", OutcomeKind.FAILED),
        ('event: message_start\ndata: {"type": "message_start", "choices": 5}\n\n', OutcomeKind.FAILED),
        ('event: message_start\ndata: {"type": "message_start", "choices": [{"delta": 1}]}\n\n', OutcomeKind.FAILED),
    ],
    ids=["a page", "no JSON", "a number for a list", "a number for an object"],
)
async def test_what_is_no_answer_of_the_api_is_told_at_once(name: str, answer: str, kind: OutcomeKind) -> None:
    with HTTPServer(("127.0.0.1", 0), type("Answering", (Foreign,), {"answer": answer.encode()})) as http:
        serving = Thread(target=http.handle_request)
        serving.start()
        refusal = await ask(provider(name, f"http://127.0.0.1:{http.server_port}"))
        await asyncio.to_thread(serving.join)
    assert isinstance(refusal, Refusal)
    assert refusal.kind is kind, refusal


async def test_a_schema_that_is_refused_becomes_a_tool_that_has_to_be_used(server: ModelServer) -> None:
    model = asked(server, "anthropic", {"error": "schema", "times": 1, "structured": PLAN})
    for _ in range(2):
        answer = await ask(model.provider)
        assert isinstance(answer, Answer)
        assert answer.data == PLAN
    forced = [record.request.forced_tool for record in model.requests()]
    assert forced == ["", "plan", "plan"], "what a server does not take it is not offered again"


async def test_a_cut_off_use_of_the_tool_is_no_answer(server: ModelServer) -> None:
    model = asked(server, "anthropic", {"error": "schema", "times": 1, "structured": PLAN, "stop": "length"})
    answer = await ask(model.provider)
    assert isinstance(answer, Answer)
    assert (answer.data, answer.stop) == (None, "length")


async def test_a_server_that_knows_no_schemas_is_told_the_schema_in_words(server: ModelServer) -> None:
    model = asked(server, "openai", {"error": "schema", "times": 2, "text": f"Sure! {json.dumps(PLAN)}"})
    answer = await ask(model.provider)
    assert isinstance(answer, Answer)
    assert answer.data == PLAN
    first, second, third = (record.request for record in model.requests())
    assert [one.schema is not None for one in (first, second, third)] == [True, False, False]
    assert [one.any_object for one in (first, second, third)] == [False, True, False]
    assert '"$defs"' not in first.items[0].text
    assert '"$defs"' in second.items[0].text
    assert '"$defs"' in third.items[0].text


@pytest.mark.parametrize("name", PROVIDERS)
async def test_nobody_who_answers_costs_nothing_and_is_worth_waiting_for(name: str) -> None:
    with ModelServer() as gone:
        url = gone.url
    refusal = await ask(provider(name, url))
    assert isinstance(refusal, Refusal)
    assert (refusal.kind, refusal.usage) == (OutcomeKind.TRANSIENT, FREE)
    assert "onnect" in refusal.detail


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    "timeouts", [TimeoutSettings(task_seconds=0.5), TimeoutSettings(output_stall_seconds=0.5)], ids=["whole", "silence"]
)
async def test_an_answer_that_does_not_come_is_not_waited_for_without_end(
    server: ModelServer, name: str, timeouts: TimeoutSettings
) -> None:
    asked(server, name, {"hang": True, "text": "x"})
    refusal = await ask(provider(name, server.url_for(name), timeouts))
    assert isinstance(refusal, Refusal)
    assert refusal.kind in {OutcomeKind.TIMED_OUT, OutcomeKind.TRANSIENT}
    assert refusal.usage == Usage(), "what was used by then nobody knows"
