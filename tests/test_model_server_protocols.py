"""The wire protocols: each reads its own requests into the same conversation and spells the same reply."""

import json

import pytest
from pydantic import JsonValue, ValidationError

from tests.model_server.conversation import Item, ModelRequest, Role
from tests.model_server.protocols import (
    PROTOCOLS,
    anthropic_messages,
    gemini,
    openai_chat,
    openai_responses,
    protocol_at,
)
from tests.model_server.protocols.wire import Failure, JsonObject, WireProtocol
from tests.model_server.reply import Reply, ToolCall
from tests.model_server.scenario import FailureKind, Stop, TokenUsage

SCHEMA: JsonObject = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
USAGE = TokenUsage(input_tokens=11, output_tokens=7, cache_read_tokens=5, cache_write_tokens=3)
REPLY = Reply("m", "Now.", (ToolCall("run", {"command": "make"}, id="call_1"),), USAGE)

# One conversation, the way each protocol sends it: system prompt, prompt, an answer with a call, its result.
ANTHROPIC: JsonObject = {
    "model": "m",
    "stream": True,
    "system": [{"type": "text", "text": "Be good."}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "TASK"}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Well."}, {"type": "tool_use", "id": "1", "name": "run", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "done"}]}]},
    ],
    "tools": [{"name": "run", "input_schema": SCHEMA}],
}
CHAT: JsonObject = {
    "model": "m",
    "stream": True,
    "messages": [
        {"role": "system", "content": "Be good."},
        {"role": "user", "content": [{"type": "text", "text": "TASK"}]},
        {"role": "assistant", "content": "Well.", "tool_calls": []},
        {"role": "tool", "content": "done"},
    ],
    "tools": [{"type": "function", "function": {"name": "run", "parameters": SCHEMA}}],
}
RESPONSES: JsonObject = {
    "model": "m",
    "stream": True,
    "instructions": "Be good.",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "TASK"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Well."}]},
        {"type": "function_call_output", "call_id": "1", "output": "done"},
    ],
    "tools": [{"type": "function", "name": "run", "parameters": SCHEMA}],
}
GEMINI: JsonObject = {
    "systemInstruction": {"parts": [{"text": "Be good."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "TASK"}]},
        {"role": "model", "parts": [{"text": "Well."}, {"functionCall": {"name": "run", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "run", "response": {"output": "done"}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "run", "parametersJsonSchema": SCHEMA}]}],
}
REQUESTS: dict[str, tuple[str, JsonObject]] = {
    anthropic_messages.NAME: ("/v1/messages", ANTHROPIC),
    openai_chat.NAME: ("/v1/chat/completions", CHAT),
    openai_responses.NAME: ("/v1/responses", RESPONSES),
    gemini.NAME: ("/v1beta/models/m:streamGenerateContent", GEMINI),
}


def read(path: str, body: JsonObject) -> ModelRequest:
    """Read a request with the protocol its path belongs to."""
    protocol = protocol_at(path)
    assert protocol is not None
    return protocol.read_request(path, json.dumps(body).encode())


def changed(body: JsonObject, **fields: JsonValue) -> JsonObject:
    """The request with fields added or replaced."""
    return {**body, **fields}


def events_of(protocol: WireProtocol, reply: Reply) -> list[JsonObject]:
    """The data of each event, parsed."""
    data = [event.partition("data: ")[2].strip() for event in protocol.reply_events(reply)]
    return [json.loads(text) for text in data if text != "[DONE]"]


def at(value: JsonValue, *path: str | int) -> JsonValue:
    """What lies at the end of a path of keys and indices."""
    for step in path:
        if isinstance(step, int):
            assert isinstance(value, list)
            value = value[step]
        else:
            assert isinstance(value, dict)
            value = value[step]
    return value


def test_every_protocol_is_covered_here() -> None:
    assert set(REQUESTS) == {protocol.NAME for protocol in PROTOCOLS}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_reads_as_the_same_conversation_in_every_protocol(name: str) -> None:
    path, body = REQUESTS[name]

    request = read(path, body)

    assert (request.model, request.stream, request.forced_tool, request.schema) == ("m", True, "", None)
    assert request.items[:3] == (Item(Role.CONTEXT, "Be good."), Item(Role.USER, "TASK"), Item(Role.ASSISTANT, "Well."))
    assert request.items[3].role is Role.TOOL
    assert "done" in request.items[3].text
    assert list(request.tools) == ["run"]
    assert request.tools["run"].schema.required == ["command"]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_body_that_is_not_of_the_protocol_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        read(REQUESTS[name][0], {"greeting": "hello"})


def test_a_path_of_no_protocol_belongs_to_none() -> None:
    assert protocol_at("/v1/models") is None


def test_text_beside_tool_results_is_no_prompt() -> None:
    result: JsonObject = {"type": "tool_result", "content": "done"}
    reminder: JsonObject = {"type": "text", "text": "Remember TASK"}
    body = changed(ANTHROPIC, messages=[{"role": "user", "content": [result, reminder]}])

    items = read("/v1/messages", body).items

    assert [item.role for item in items] == [Role.CONTEXT, Role.TOOL, Role.CONTEXT]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", changed(ANTHROPIC, output_config={"format": {"type": "json_schema", "schema": SCHEMA}})),
        ("/v1/chat/completions", changed(CHAT, response_format={"json_schema": {"name": "x", "schema": SCHEMA}})),
        ("/v1/responses", changed(RESPONSES, text={"format": {"type": "json_schema", "schema": SCHEMA}})),
        ("/v1beta/models/m:generateContent", changed(GEMINI, generationConfig={"responseJsonSchema": SCHEMA})),
    ],
)
def test_the_shape_an_answer_must_have_is_read(path: str, body: JsonObject) -> None:
    schema = read(path, body).schema

    assert schema is not None
    assert schema.required == ["command"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", changed(ANTHROPIC, tool_choice={"type": "tool", "name": "run"})),
        ("/v1/chat/completions", changed(CHAT, tool_choice={"type": "function", "function": {"name": "run"}})),
        ("/v1/responses", changed(RESPONSES, tool_choice={"type": "function", "name": "run"})),
    ],
)
def test_a_tool_the_answer_must_use_is_read(path: str, body: JsonObject) -> None:
    assert read(path, body).forced_tool == "run"


def test_codex_offers_tools_in_namespaces_and_as_input_items() -> None:
    offered: JsonObject = {
        "type": "additional_tools",
        "tools": [{"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}],
    }

    tools = read("/v1/responses", {"model": "m", "input": [offered]}).tools

    assert (tools["exec"].freeform, tools["exec"].namespace) == (True, "functions")


def test_a_whole_anthropic_reply() -> None:
    whole = anthropic_messages.whole_reply(REPLY)

    assert whole["content"] == [
        {"type": "text", "text": "Now."},
        {"type": "tool_use", "id": "toolu_call_1", "name": "run", "input": {"command": "make"}},
    ]
    assert whole["stop_reason"] == "tool_use"
    assert whole["usage"] == {
        "input_tokens": 11,
        "output_tokens": 7,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 3,
    }


def test_a_streamed_anthropic_reply_adds_up_to_the_whole_one() -> None:
    events = events_of(anthropic_messages, REPLY)

    deltas = [at(event, "delta") for event in events if event["type"] == "content_block_delta"]
    assert deltas == [
        {"type": "text_delta", "text": "Now."},
        {"type": "input_json_delta", "partial_json": '{"command": "make"}'},
    ]
    assert at(events[0], "message", "content") == []
    assert at(events[-2], "usage") == anthropic_messages.whole_reply(REPLY)["usage"]
    assert events[-1] == {"type": "message_stop"}


def test_a_chat_reply_whole_and_streamed() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "run", "arguments": '{"command": "make"}'}}
    whole = openai_chat.whole_reply(REPLY)
    events = events_of(openai_chat, REPLY)

    assert at(whole, "choices", 0, "message") == {"role": "assistant", "content": "Now.", "tool_calls": [call]}
    assert at(whole, "choices", 0, "finish_reason") == "tool_calls"
    assert at(events[1], "choices", 0, "delta") == {"content": "Now."}
    assert at(events[3], "choices", 0, "delta", "tool_calls", 0, "function", "arguments") == '{"command": "make"}'
    assert at(events[-1], "usage") == whole["usage"]
    assert at(whole, "usage", "total_tokens") == 26


def test_a_responses_reply_whole_and_streamed() -> None:
    freeform = ToolCall("exec", freeform="text(1)", namespace="functions", id="call_2")
    reply = Reply("m", "Now.", (*REPLY.calls, freeform), USAGE)
    whole = openai_responses.whole_reply(reply)
    events = events_of(openai_responses, reply)

    assert [at(whole, "output", index, "type") for index in range(3)] == [
        "message",
        "function_call",
        "custom_tool_call",
    ]
    assert at(whole, "output", 1, "arguments") == '{"command": "make"}'
    assert at(whole, "output", 2, "input") == "text(1)"
    assert at(whole, "output", 2, "namespace") == "functions"
    done = [at(event, "item", "type") for event in events if event["type"] == "response.output_item.done"]
    assert done == ["message", "function_call", "custom_tool_call"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert at(events[-1], "response", "usage", "input_tokens") == 19


def test_a_gemini_reply_whole_and_streamed() -> None:
    whole = gemini.whole_reply(REPLY)
    events = events_of(gemini, REPLY)

    assert at(whole, "candidates", 0, "content", "parts") == [
        {"text": "Now."},
        {"functionCall": {"id": "call_1", "name": "run", "args": {"command": "make"}}},
    ]
    assert at(whole, "usageMetadata", "promptTokenCount") == 19
    assert at(events[-1], "candidates") == whole["candidates"]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: str(protocol.NAME))
@pytest.mark.parametrize("kind", FailureKind)
def test_every_failure_has_a_status_and_a_message_in_every_protocol(protocol: WireProtocol, kind: FailureKind) -> None:
    status, body = protocol.failure_reply(Failure(kind))
    _, reworded = protocol.failure_reply(Failure(kind, message="because"))

    assert 400 <= status < 600
    assert at(body, "error", "message")
    assert at(reworded, "error", "message") == "because"
    assert protocol.failure_event(Failure(kind, message="because")).count("because") == 1


def test_failures_carry_the_status_their_provider_uses() -> None:
    def statuses(protocol: WireProtocol) -> list[int]:
        kinds = (FailureKind.RATE_LIMIT, FailureKind.OVERLOADED, FailureKind.AUTH, FailureKind.CREDIT)
        return [protocol.failure_reply(Failure(kind))[0] for kind in kinds]

    assert statuses(anthropic_messages) == [429, 529, 401, 400]
    assert statuses(openai_chat) == statuses(openai_responses) == [429, 503, 401, 429]
    assert statuses(gemini) == [429, 503, 400, 400]


@pytest.mark.parametrize(
    ("protocol", "place", "length", "refused"),
    [
        (anthropic_messages, ("stop_reason",), "max_tokens", "refusal"),
        (openai_chat, ("choices", 0, "finish_reason"), "length", "stop"),
        (openai_responses, ("status",), "incomplete", "completed"),
        (gemini, ("candidates", 0, "finishReason"), "MAX_TOKENS", "SAFETY"),
    ],
)
def test_an_answer_says_why_it_ended(
    protocol: WireProtocol, place: tuple[str | int, ...], length: str, refused: str
) -> None:
    def ended(stop: Stop) -> JsonValue:
        return at(protocol.whole_reply(Reply("m", "No.", (), USAGE, stop)), *place)

    assert (ended("length"), ended("refused")) == (length, refused)


def test_gemini_says_in_the_body_how_long_to_wait() -> None:
    _, body = gemini.failure_reply(Failure(FailureKind.RATE_LIMIT, retry_after_seconds=7))

    assert at(body, "error", "details", 0, "retryDelay") == "7s"
