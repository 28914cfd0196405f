"""Gemini's generateContent: the Gemini CLI. The model's name and whether to stream are in the path."""

import json
from collections.abc import Iterator

from pydantic import AliasChoices, Field, JsonValue

from tests.model_server.conversation import Item, JsonSchema, ModelRequest, Role, Tool
from tests.model_server.protocols.wire import Failure, Incoming, JsonObject, server_sent_event
from tests.model_server.reply import Reply, new_id
from tests.model_server.scenario import FailureKind

NAME = "gemini"

# kind: HTTP status, status, message
_FAILURES = {
    FailureKind.RATE_LIMIT: (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    FailureKind.OVERLOADED: (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    FailureKind.SERVER: (500, "INTERNAL", "Internal server error"),
    FailureKind.AUTH: (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    FailureKind.PERMISSION: (403, "PERMISSION_DENIED", "Your account does not have permission"),
    FailureKind.NOT_FOUND: (404, "NOT_FOUND", "model: no such model"),
    FailureKind.CONTEXT: (
        400,
        "INVALID_ARGUMENT",
        "The input token count (1250000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    FailureKind.CREDIT: (400, "FAILED_PRECONDITION", "Billing is not enabled for this project."),
    FailureKind.QUOTA: (
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    FailureKind.SCHEMA: (
        400,
        "INVALID_ARGUMENT",
        "The specified schema produces a constraint that has too many states",
    ),
    FailureKind.BAD_REQUEST: (400, "INVALID_ARGUMENT", "invalid request"),
}
_FINISH_REASONS = {"end": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}


class _FunctionResponse(Incoming):
    response: JsonValue = None


class _Part(Incoming):
    text: str = ""
    function_response: _FunctionResponse | None = Field(default=None, alias="functionResponse")


class _Content(Incoming):
    role: str = "user"
    parts: list[_Part] = Field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if part.text)


class _Function(Incoming):
    name: str
    parameters: JsonSchema = Field(
        default=JsonSchema(), validation_alias=AliasChoices("parametersJsonSchema", "parameters")
    )


class _Tool(Incoming):
    functions: list[_Function] = Field(default_factory=list, alias="functionDeclarations")


class _GenerationConfig(Incoming):
    json_schema: JsonSchema | None = Field(
        default=None, validation_alias=AliasChoices("responseJsonSchema", "responseSchema")
    )


class _Request(Incoming):
    system_instruction: _Content = Field(default=_Content(), alias="systemInstruction")
    contents: list[_Content]
    tools: list[_Tool] = Field(default_factory=list)
    generation_config: _GenerationConfig = Field(default=_GenerationConfig(), alias="generationConfig")


def serves(path: str) -> bool:
    """Whether the path ends in one of the generate methods."""
    return path.endswith((":generateContent", ":streamGenerateContent"))


def read_request(path: str, body: bytes) -> ModelRequest:
    """Read a generateContent request."""
    request = _Request.model_validate_json(body)
    model, _, method = path.rpartition("/")[2].rpartition(":")
    items = [Item(Role.CONTEXT, request.system_instruction.text)]
    for content in request.contents:
        items += _items(content)
    functions = [function for tool in request.tools for function in tool.functions]
    return ModelRequest(
        model=model,
        stream=method == "streamGenerateContent",
        items=tuple(items),
        tools={function.name: Tool(function.name, function.parameters) for function in functions},
        schema=request.generation_config.json_schema,
    )


def _items(content: _Content) -> Iterator[Item]:
    if content.role == "model":
        yield Item(Role.ASSISTANT, content.text)
        return
    results = [part.function_response.response for part in content.parts if part.function_response]
    for result in results:
        output = result.get("output") if isinstance(result, dict) else None
        yield Item(Role.TOOL, output if isinstance(output, str) else json.dumps(result))
    if content.text:
        # Also where it rides along with a tool's result: so does the next prompt of a session that was cut short there.
        yield Item(Role.USER, content.text)


def whole_reply(reply: Reply) -> JsonObject:
    """A generateContent answer."""
    parts: list[JsonValue] = [{"text": reply.text}] if reply.text or not reply.calls else []
    parts += [
        {"functionCall": {"id": call.id, "name": call.name, "args": dict(call.arguments)}} for call in reply.calls
    ]
    usage = reply.usage
    return {
        "candidates": [
            {"content": {"role": "model", "parts": parts}, "finishReason": _FINISH_REASONS[reply.stop], "index": 0}
        ],
        "usageMetadata": {
            "promptTokenCount": usage.prompt_tokens,
            "candidatesTokenCount": usage.output_tokens,
            "totalTokenCount": usage.prompt_tokens + usage.output_tokens,
            "cachedContentTokenCount": usage.cache_read_tokens,
        },
        "modelVersion": reply.model,
        "responseId": new_id("gemini"),
    }


def reply_events(reply: Reply) -> Iterator[str]:
    """The answer in one event, after an empty one (so that a stream can break before it said anything)."""
    empty: JsonObject = {"content": {"role": "model", "parts": [{"text": ""}]}, "index": 0}
    yield server_sent_event({"candidates": [empty], "modelVersion": reply.model})
    yield server_sent_event(whole_reply(reply))


def failure_reply(failure: Failure) -> tuple[int, JsonObject]:
    """Status and body of a Google API error; it wants the wait in the body, not in a header."""
    code, status, message = _FAILURES[failure.kind]
    details: list[JsonValue] = []
    if failure.retry_after_seconds is not None:
        delay = f"{failure.retry_after_seconds}s"
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    if failure.kind is FailureKind.AUTH:
        reason: JsonObject = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", **reason})
    error: JsonObject = {
        "code": code,
        "message": failure.message or message,
        "status": status,
        "details": details,
    }
    return code, {"error": error}


def failure_event(failure: Failure) -> str:
    """The error object as an event."""
    return server_sent_event(failure_reply(failure)[1])
