"""OpenAI Responses: codex."""

import json
import time
from collections.abc import Iterator

from pydantic import Field, JsonValue

from tests.model_server.conversation import Item, JsonSchema, ModelRequest, Role, Tool
from tests.model_server.protocols.openai_errors import openai_failure
from tests.model_server.protocols.wire import Failure, Incoming, JsonObject, joined_text, server_sent_event
from tests.model_server.reply import Reply, ToolCall, new_id

NAME = "openai-responses"

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}


class _Tool(Incoming):
    type: str
    name: str = ""
    parameters: JsonSchema | None = None
    tools: list["_Tool"] = Field(default_factory=list)


class _InputItem(Incoming):
    type: str = "message"
    role: str = ""
    content: JsonValue = None
    output: JsonValue = None
    tools: list[_Tool] = Field(default_factory=list)


class _Format(Incoming):
    type: str = "text"
    json_schema: JsonSchema | None = Field(default=None, alias="schema")


class _Text(Incoming):
    format: _Format = _Format()


class _ToolChoice(Incoming):
    name: str = ""


class _Request(Incoming):
    model: str
    stream: bool = False
    instructions: str | None = None
    input: str | list[_InputItem]
    tools: list[_Tool] = Field(default_factory=list)
    tool_choice: str | _ToolChoice | None = None
    text: _Text = _Text()


def serves(path: str) -> bool:
    """Whether the path ends in the responses endpoint."""
    return path.endswith("/responses")


def read_request(path: str, body: bytes) -> ModelRequest:  # noqa: ARG001 - the path matters to other protocols only
    """Read a Responses request."""
    request = _Request.model_validate_json(body)
    inputs = [_InputItem(role="user", content=request.input)] if isinstance(request.input, str) else request.input
    tools = list(request.tools)
    items = [Item(Role.CONTEXT, request.instructions or "")]
    for item in inputs:
        if item.type == "additional_tools":  # codex sends the tools of its newer models as an input item
            tools += item.tools
        else:
            items.append(_item(item))
    return ModelRequest(
        model=request.model,
        stream=request.stream,
        items=tuple(items),
        tools={tool.name: tool for tool in _offered(tools)},
        schema=request.text.format.json_schema if request.text.format.type == "json_schema" else None,
        forced_tool=request.tool_choice.name if isinstance(request.tool_choice, _ToolChoice) else "",
    )


def _item(item: _InputItem) -> Item:
    if item.type == "message":
        return Item(_ROLES.get(item.role, Role.CONTEXT), joined_text(item.content))
    if item.type.endswith("_output"):
        return Item(Role.TOOL, joined_text(item.output))
    return Item(Role.ASSISTANT, "")  # a call, or reasoning


def _offered(tools: list[_Tool], namespace: str = "") -> Iterator[Tool]:
    for tool in tools:
        if tool.type == "namespace":
            yield from _offered(tool.tools, tool.name)
        else:
            name, schema = tool.name or tool.type, tool.parameters or JsonSchema()
            yield Tool(name, schema, freeform=tool.type == "custom", namespace=namespace)


def whole_reply(reply: Reply) -> JsonObject:
    """A response object."""
    usage = reply.usage
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "model": reply.model,
        "status": "incomplete" if reply.stop == "length" else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if reply.stop == "length" else None,
        "output": [*_text_items(reply), *(_call_item(call) for call in reply.calls)],
        "usage": {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cache_read_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt_tokens + usage.output_tokens,
        },
    }


def _text_items(reply: Reply) -> list[JsonValue]:
    if not reply.text:
        return []
    content: JsonObject = {"type": "output_text", "text": reply.text, "annotations": []}
    if reply.stop == "refused":
        content = {"type": "refusal", "refusal": reply.text}
    return [
        {"type": "message", "id": new_id("msg"), "role": "assistant", "status": "completed", "content": [content]},
    ]


def _call_item(call: ToolCall) -> JsonObject:
    item: JsonObject = {"call_id": call.id, "name": call.name, "status": "completed"}
    if call.namespace:
        item["namespace"] = call.namespace
    if call.freeform is not None:
        return {**item, "type": "custom_tool_call", "id": new_id("ctc"), "input": call.freeform}
    return {**item, "type": "function_call", "id": new_id("fc"), "arguments": json.dumps(call.arguments)}


def reply_events(reply: Reply) -> Iterator[str]:
    """A response, streamed: each output item added and done."""
    whole = whole_reply(reply)
    events: list[JsonObject] = [
        {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}}
    ]
    output = whole["output"]
    assert isinstance(output, list)
    for index, item in enumerate(output):
        assert isinstance(item, dict)
        events += _item_events(index, item, reply.text)
    events.append({"type": f"response.{whole['status']}", "response": whole})
    for number, event in enumerate(events):
        yield server_sent_event({**event, "sequence_number": number}, event=str(event["type"]))


def _item_events(index: int, item: JsonObject, text: str) -> Iterator[JsonObject]:
    in_progress: JsonObject = {**item, "status": "in_progress"}
    if item["type"] == "message":
        place: JsonObject = {"item_id": item["id"], "output_index": index, "content_index": 0}
        yield {"type": "response.output_item.added", "output_index": index, "item": {**in_progress, "content": []}}
        part: JsonObject = {"type": "output_text", "text": "", "annotations": []}
        yield {"type": "response.content_part.added", **place, "part": part}
        yield {"type": "response.output_text.delta", **place, "delta": text}
        yield {"type": "response.output_text.done", **place, "text": text}
    else:
        yield {"type": "response.output_item.added", "output_index": index, "item": in_progress}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def failure_reply(failure: Failure) -> tuple[int, JsonObject]:
    """Status and body of an OpenAI error."""
    return openai_failure(failure)


def failure_event(failure: Failure) -> str:
    """The `response.failed` event."""
    _, body = openai_failure(failure)
    error = body["error"]
    assert isinstance(error, dict)
    reason: JsonObject = {"code": error["code"] or "server_error", "message": error["message"]}
    response: JsonObject = {"id": new_id("resp"), "object": "response", "status": "failed", "error": reason}
    return server_sent_event({"type": "response.failed", "response": response}, event="response.failed")
