"""Plans by Anthropic's API, or by one that speaks as it does.

The answer is held to the schema by the API. Where it does not take the schema, since it is too complex for it or the
server knows nothing of schemas, a tool that the model is made to use stands in.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypedDict

from graftline.agents.outcome import Usage
from graftline.planning.api import (
    CONNECT_SECONDS,
    ApiProvider,
    Heard,
    broken_off,
    count,
    garbled,
    refused,
    unreachable,
    words_of,
)
from graftline.planning.provider import Answer, Question, Refusal, Stop
from graftline.planning.schemas import strict_schema
from graftline.settings import TimeoutSettings

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types import (
        MessageParam,
        OutputConfigParam,
        RawMessageStreamEvent,
        TextBlockParam,
        ToolChoiceToolParam,
        ToolParam,
    )

ADDRESS = "https://api.anthropic.com"
DEFAULT_MODEL = "claude-sonnet-5-5"
STOPS: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "end",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}
_SCHEMA_REFUSED = re.compile(r"schema|output_config|output_format|grammar", re.IGNORECASE)


class Credentials(TypedDict, total=False):
    """The one of the two that is there."""

    api_key: str
    auth_token: str


class AnthropicProvider(ApiProvider):
    """Asks the Messages API."""

    type: Literal["anthropic"] = "anthropic"
    backend = "anthropic"

    def __init__(self, *, model: str, base_url: str, credentials: Credentials, timeouts: TimeoutSettings) -> None:
        secret = "".join(map(str, credentials.values()))
        super().__init__(model=model or DEFAULT_MODEL, base_url=base_url or ADDRESS, secret=secret, timeouts=timeouts)
        self._credentials = credentials
        self._takes_schemas = True

    def _leaves_out(self, words: str) -> bool:
        leaves_out = self._takes_schemas and _SCHEMA_REFUSED.search(words) is not None
        self._takes_schemas = self._takes_schemas and not leaves_out
        return leaves_out

    async def _ask(self, question: Question) -> Answer | Refusal:
        import anthropic  # noqa: PLC0415  takes a second, which only those should wait for who plan
        import httpx2  # noqa: PLC0415  comes with it

        heard = Heard(self.model)
        timeout = anthropic.Timeout(self._timeouts.output_stall_seconds, connect=CONNECT_SECONDS)
        try:
            # Whoever pays waits, where it is seen and stops the clock.
            client = anthropic.AsyncAnthropic(
                **self._credentials, base_url=self._base_url, timeout=timeout, max_retries=0
            )
        except (anthropic.AnthropicError, httpx2.InvalidURL, ValueError, ImportError) as error:  # also of proxies
            return unreachable(error)
        try:
            async with client:
                await self._listen(client, question, heard)
        except anthropic.APIStatusError as error:
            words = words_of(error.body, str(error))
            if error.status_code < 400:  # an answer that had begun, and ended with an error
                return broken_off(words, heard=heard)
            return refused(error.status_code, words, error.response.headers)
        except anthropic.APITimeoutError as error:
            return broken_off(f"{error}", heard=heard)
        except (anthropic.AnthropicError, httpx2.HTTPError) as error:
            return broken_off(f"{error} {error.__cause__ or ''}", heard=heard if heard.has_begun else None)
        except (ValueError, TypeError, AttributeError) as error:  # events are not validated by the library
            return garbled(error)
        return heard.concluded(question)

    async def _listen(self, client: "AsyncAnthropic", question: Question, heard: Heard) -> None:
        from anthropic import omit  # noqa: PLC0415  as above

        output, tool = (_output(question), None) if self._takes_schemas else (omit, _tool(question))
        stream = await client.messages.create(
            model=self.model,
            max_tokens=question.max_output_tokens,
            system=[_kept(question.system)],
            messages=list(_messages(question)),
            output_config=output,
            tools=[tool] if tool else omit,
            tool_choice=_use(tool) if tool else omit,
            stream=True,
        )
        async with stream:
            async for event in stream:
                _hear(event, heard)
                if heard.is_too_long:
                    return


def _hear(event: "RawMessageStreamEvent", heard: Heard) -> None:
    """Take one event of an answer; a model's thoughts are none of it."""
    heard.has_begun = True
    if event.type == "message_start":
        heard.model = event.message.model
        used = event.message.usage
        heard.usage = _usage(
            used.input_tokens, used.cache_creation_input_tokens, used.cache_read_input_tokens, used.output_tokens
        )
    elif event.type == "content_block_delta":
        if event.delta.type == "text_delta":
            heard.add(event.delta.text)
        elif event.delta.type == "input_json_delta":
            heard.add(event.delta.partial_json)
    elif event.type == "message_delta":
        heard.stop = STOPS.get(event.delta.stop_reason or "", "end")
        total = event.usage
        if total.input_tokens is None:  # older servers count here what was written, and nothing else
            heard.usage = replace(heard.usage, output_tokens=count(total.output_tokens))
        else:
            heard.usage = _usage(
                total.input_tokens,
                total.cache_creation_input_tokens,
                total.cache_read_input_tokens,
                total.output_tokens,
            )


def _usage(read: object, put_into_cache: object, cached: object, written: object) -> Usage:
    new, added = count(read), count(put_into_cache or 0)
    return Usage(
        input_tokens=None if new is None or added is None else new + added,
        output_tokens=count(written),
        cached_tokens=count(cached or 0),
    )


def _messages(question: Question) -> Iterator["MessageParam"]:
    for at, message in enumerate(question.messages):
        text = message.text.strip() or "(nothing)"  # the API takes no empty text
        content = [_kept(text)] if at == 0 else text
        if message.role == "user":
            yield {"role": "user", "content": content}
        else:
            yield {"role": "assistant", "content": content}


def _kept(text: str) -> "TextBlockParam":
    """Text that the API is to keep for a few minutes: reading it again then costs a tenth."""
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}


def _output(question: Question) -> "OutputConfigParam":
    from anthropic import transform_schema  # noqa: PLC0415  as above

    return {"format": {"type": "json_schema", "schema": transform_schema(strict_schema(question.schema))}}


def _tool(question: Question) -> "ToolParam":
    return {"name": question.schema_name, "description": "Takes the answer.", "input_schema": {**question.schema}}


def _use(tool: "ToolParam") -> "ToolChoiceToolParam":
    return {"type": "tool", "name": tool["name"], "disable_parallel_tool_use": True}
