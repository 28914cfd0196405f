"""Anthropic Messages: Claude Code, and Anthropic's own libraries."""

import json
from collections.abc import Iterator

from pydantic import Field, JsonValue

from tests.model_server.conversation import Item, JsonSchema, ModelRequest, Role, Tool
from tests.model_server.protocols.wire import Failure, Incoming, JsonObject, joined_text, server_sent_event
from tests.model_server.reply import Reply, ToolCall, new_id
from tests.model_server.scenario import FailureKind

NAME = "anthropic-messages"

# kind: status, type, message
_FAILURES = {
    FailureKind.RATE_LIMIT: (429, "rate_limit_error", "This request would exceed your organization's rate limit"),
    FailureKind.OVERLOADED: (529, "overloaded_error", "Overloaded"),
    FailureKind.SERVER: (500, "api_error", "Internal server error"),
    FailureKind.AUTH: (401, "authentication_error", "invalid x-api-key"),
    FailureKind.PERMISSION: (403, "permission_error", "Your account does not have permission"),
    FailureKind.NOT_FOUND: (404, "not_found_error", "model: no such model"),
    FailureKind.CONTEXT: (400, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum"),
    FailureKind.CREDIT: (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. "
        "Please go to Plans & Billing to upgrade or purchase credits.",
    ),
    FailureKind.QUOTA: (
        429,
        "rate_limit_error",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    FailureKind.SCHEMA: (400, "invalid_request_error", "output_config.format.schema: Schema is too complex"),
    FailureKind.BAD_REQUEST: (400, "invalid_request_error", "invalid request"),
}
_STOP_REASONS = {"end": "end_turn", "length": "max_tokens", "refused": "refusal"}
_NOTHING_SAID = "No response requested."


class _Block(Incoming):
    type: str
    text: str = ""
    content: JsonValue = None
    cache_control: JsonValue = None


class _Message(Incoming):
    role: str
    content: str | list[_Block]

    @property
    def blocks(self) -> list[_Block]:
        return [_Block(type="text", text=self.content)] if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        return "\n".join(block.text for block in self.blocks if block.type == "text" and block.text)


class _Tool(Incoming):
    name: str
    input_schema: JsonSchema = JsonSchema()


class _ToolChoice(Incoming):
    name: str = ""


class _Format(Incoming):
    json_schema: JsonSchema | None = Field(default=None, alias="schema")


class _OutputConfig(Incoming):
    format: _Format | None = None


class _Request(Incoming):
    model: str
    stream: bool = False
    system: str | list[_Block] | None = None
    max_tokens: int | None = None
    messages: list[_Message]
    tools: list[_Tool] = Field(default_factory=list)
    tool_choice: _ToolChoice = _ToolChoice()
    output_config: _OutputConfig = _OutputConfig()


def serves(path: str) -> bool:
    """Whether the path ends in the messages endpoint."""
    return path.endswith("/messages")


def read_request(path: str, body: bytes) -> ModelRequest:  # noqa: ARG001 - the path matters to other protocols only
    """Read a Messages request."""
    request = _Request.model_validate_json(body)
    system = _Message(role="system", content=request.system or []).blocks
    items = [Item(Role.CONTEXT, "\n".join(block.text for block in system))]
    for message in request.messages:
        items += _items(message)
    output_format = request.output_config.format
    return ModelRequest(
        model=request.model,
        stream=request.stream,
        items=tuple(items),
        tools={tool.name: Tool(tool.name, tool.input_schema) for tool in request.tools},
        schema=output_format.json_schema if output_format else None,
        forced_tool=request.tool_choice.name,
        max_output_tokens=request.max_tokens,
        kept=tuple(
            block.text
            for block in (*system, *(block for message in request.messages for block in message.blocks))
            if block.cache_control
        ),
    )


def _items(message: _Message) -> Iterator[Item]:
    if message.role == "assistant":
        # Claude Code says so itself where a session goes on that was cut short before the model answered.
        is_ours = message.text != _NOTHING_SAID
        yield Item(Role.ASSISTANT if is_ours else Role.CONTEXT, message.text)
        return
    results = [block.content for block in message.blocks if block.type == "tool_result"]
    if results:
        yield Item(Role.TOOL, joined_text(results))
    if message.text:
        # Text that rides along with tool results is a reminder of the CLI's, and may quote the prompt.
        yield Item(Role.USER if message.role == "user" and not results else Role.CONTEXT, message.text)


def whole_reply(reply: Reply) -> JsonObject:
    """A Messages answer."""
    usage: JsonObject = {
        "input_tokens": reply.usage.input_tokens,
        "output_tokens": reply.usage.output_tokens,
        "cache_read_input_tokens": reply.usage.cache_read_tokens,
        "cache_creation_input_tokens": reply.usage.cache_write_tokens,
    }
    text_blocks: list[JsonValue] = [{"type": "text", "text": reply.text}] if reply.text else []
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [*text_blocks, *(_tool_block(call) for call in reply.calls)],
        "stop_reason": "tool_use" if reply.calls and reply.stop == "end" else _STOP_REASONS[reply.stop],
        "stop_sequence": None,
        "usage": usage,
    }


def _tool_block(call: ToolCall) -> JsonObject:
    return {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": dict(call.arguments)}


def reply_events(reply: Reply) -> Iterator[str]:
    """A Messages answer, streamed: each block whole in one delta."""
    whole = whole_reply(reply)
    yield _event("message_start", message={**whole, "content": [], "stop_reason": None})
    blocks: list[tuple[JsonObject, JsonObject]] = []
    if reply.text:
        blocks.append(({"type": "text", "text": ""}, {"type": "text_delta", "text": reply.text}))
    for call in reply.calls:
        arguments = json.dumps(call.arguments)
        blocks.append(({**_tool_block(call), "input": {}}, {"type": "input_json_delta", "partial_json": arguments}))
    for index, (block, delta) in enumerate(blocks):
        yield _event("content_block_start", index=index, content_block=block)
        yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    end: JsonObject = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=end, usage=whole["usage"])
    yield _event("message_stop")


def _event(name: str, **fields: JsonValue) -> str:
    return server_sent_event({"type": name, **fields}, event=name)


def failure_reply(failure: Failure) -> tuple[int, JsonObject]:
    """Status and body of an Anthropic error."""
    status, error_type, message = _FAILURES[failure.kind]
    error: JsonObject = {"type": error_type, "message": failure.message or message}
    return status, {"type": "error", "error": error, "request_id": new_id("req")}


def failure_event(failure: Failure) -> str:
    """The `error` event."""
    return server_sent_event(failure_reply(failure)[1], event="error")
