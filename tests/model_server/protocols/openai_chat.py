"""OpenAI Chat Completions: Aider, OpenCode, Qwen Code and most local model servers' clients."""

import json
import time
from collections.abc import Iterator

from pydantic import Field, JsonValue

from tests.model_server.conversation import Item, JsonSchema, ModelRequest, Role, Tool
from tests.model_server.protocols.openai_errors import openai_failure
from tests.model_server.protocols.wire import Failure, Incoming, JsonObject, joined_text, server_sent_event
from tests.model_server.reply import Reply, ToolCall, new_id

NAME = "openai-chat"

_ROLES = {
    "system": Role.CONTEXT,
    "developer": Role.CONTEXT,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}


class _Message(Incoming):
    role: str
    content: JsonValue = None


class _Function(Incoming):
    name: str
    parameters: JsonSchema = JsonSchema()


class _Tool(Incoming):
    function: _Function | None = None


class _ToolChoice(Incoming):
    function: _Function | None = None


class _SchemaFormat(Incoming):
    json_schema: JsonSchema | None = Field(default=None, alias="schema")


class _ResponseFormat(Incoming):
    type: str = "text"
    json_schema: _SchemaFormat | None = None


class _Request(Incoming):
    model: str
    stream: bool = False
    messages: list[_Message]
    tools: list[_Tool] = Field(default_factory=list)
    tool_choice: str | _ToolChoice | None = None
    response_format: _ResponseFormat = _ResponseFormat()
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


def serves(path: str) -> bool:
    """Whether the path ends in the chat endpoint."""
    return path.endswith("/chat/completions")


def read_request(path: str, body: bytes) -> ModelRequest:  # noqa: ARG001 - the path matters to other protocols only
    """Read a Chat Completions request."""
    request = _Request.model_validate_json(body)
    functions = [tool.function for tool in request.tools if tool.function]
    choice = request.tool_choice
    forced = choice.function.name if isinstance(choice, _ToolChoice) and choice.function else ""
    output_format = request.response_format.json_schema
    return ModelRequest(
        model=request.model,
        stream=request.stream,
        items=tuple(
            Item(_ROLES.get(message.role, Role.CONTEXT), joined_text(message.content)) for message in request.messages
        ),
        tools={function.name: Tool(function.name, function.parameters) for function in functions},
        schema=output_format.json_schema if output_format else None,
        forced_tool=forced,
        any_object=request.response_format.type == "json_object",
        max_output_tokens=request.max_completion_tokens or request.max_tokens,
    )


def whole_reply(reply: Reply) -> JsonObject:
    """A chat completion."""
    message: JsonObject = {"role": "assistant", "content": None, **_said(reply)}
    if reply.calls:
        message["tool_calls"] = [_tool_call(call, json.dumps(call.arguments)) for call in reply.calls]
    choice: JsonObject = {"index": 0, "message": message, "finish_reason": _finish_reason(reply)}
    return {**_head(reply, "chat.completion"), "choices": [choice], "usage": _usage(reply)}


def reply_events(reply: Reply) -> Iterator[str]:
    """A chat completion, streamed: usage in a chunk of its own, as `include_usage` asks."""
    head = _head(reply, "chat.completion.chunk")

    def chunk(delta: JsonObject, finish_reason: str | None = None) -> str:
        choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return server_sent_event({**head, "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    if reply.text:
        yield chunk(_said(reply))
    for index, call in enumerate(reply.calls):
        yield chunk({"tool_calls": [{"index": index, **_tool_call(call, "")}]})
        yield chunk({"tool_calls": [{"index": index, "function": {"arguments": json.dumps(call.arguments)}}]})
    yield chunk({}, _finish_reason(reply))
    yield server_sent_event({**head, "choices": [], "usage": _usage(reply)})
    yield server_sent_event("[DONE]")


def _head(reply: Reply, kind: str) -> JsonObject:
    return {"id": new_id("chatcmpl"), "object": kind, "created": int(time.time()), "model": reply.model}


def _said(reply: Reply) -> JsonObject:
    """Why it will not answer is told apart from an answer."""
    return {"refusal" if reply.stop == "refused" else "content": reply.text or None}


def _finish_reason(reply: Reply) -> str:
    if reply.stop == "length":
        return "length"
    return "tool_calls" if reply.calls else "stop"


def _tool_call(call: ToolCall, arguments: str) -> JsonObject:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _usage(reply: Reply) -> JsonObject:
    usage = reply.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
    }


def failure_reply(failure: Failure) -> tuple[int, JsonObject]:
    """Status and body of an OpenAI error."""
    return openai_failure(failure)


def failure_event(failure: Failure) -> str:
    """The error object as a chunk."""
    return server_sent_event(openai_failure(failure)[1])
