"""Plans by OpenAI's API, or by one that is compatible with it, such as a local server's.

The answer is held to the schema by the API. A server that does not take that is asked for any JSON object, and one that
does not take that either for text; both are then told the schema in words.
"""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from graftline.agents.session_usage import total_usage
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
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
    from openai.types.chat.completion_create_params import ResponseFormat

ADDRESS = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-5.5"
NO_KEY = "none"
"""What a server that wants no key is given for one, since the library insists."""
STOPS: dict[str, Stop] = {"stop": "end", "length": "length", "content_filter": "refused"}
FORMATS = ("json_schema", "json_object", "text")
_FORMAT_REFUSED = re.compile(r"schema|response_format|json_object|grammar", re.IGNORECASE)
_LIMIT_REFUSED = re.compile(r"max_tokens|max_completion_tokens")


class OpenAIProvider(ApiProvider):
    """Asks the Chat Completions API, the one that local servers have too."""

    type: Literal["openai"] = "openai"
    backend = "openai"

    def __init__(self, *, model: str, base_url: str, api_key: str, timeouts: TimeoutSettings) -> None:
        super().__init__(model=model or DEFAULT_MODEL, base_url=base_url or ADDRESS, secret=api_key, timeouts=timeouts)
        self._formats = list(FORMATS)
        # OpenAI's newer models want the second, older servers know only the first.
        self._limits = ["max_tokens", "max_completion_tokens"] if base_url else ["max_completion_tokens", "max_tokens"]

    def _leaves_out(self, words: str) -> bool:
        for pattern, choices in ((_LIMIT_REFUSED, self._limits), (_FORMAT_REFUSED, self._formats)):
            if pattern.search(words) and len(choices) > 1:
                choices.pop(0)
                return True
        return False

    async def _ask(self, question: Question) -> Answer | Refusal:
        import httpx2  # noqa: PLC0415  comes with it
        import openai  # noqa: PLC0415  an extra, and it takes a second

        heard = Heard(self.model)
        timeout = openai.Timeout(self._timeouts.output_stall_seconds, connect=CONNECT_SECONDS)
        try:
            # Whoever pays waits, where it is seen and stops the clock.
            client = openai.AsyncOpenAI(
                api_key=self._secret or NO_KEY, base_url=self._base_url, timeout=timeout, max_retries=0
            )
        except (openai.OpenAIError, httpx2.InvalidURL, ValueError, ImportError) as error:  # also of proxies
            return unreachable(error)
        try:
            async with client:
                await self._listen(client, question, heard)
        except openai.APIStatusError as error:
            return refused(error.status_code, words_of(error.body, str(error)), error.response.headers)
        except openai.APITimeoutError as error:
            return broken_off(f"{error}", heard=heard)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            words = words_of(getattr(error, "body", None), f"{error} {error.__cause__ or ''}")
            return broken_off(words, heard=heard if heard.has_begun else None)
        except (ValueError, TypeError, AttributeError) as error:  # chunks are not validated by the library
            return garbled(error)
        return heard.concluded(question)

    async def _listen(self, client: "AsyncOpenAI", question: Question, heard: Heard) -> None:
        from openai import omit  # noqa: PLC0415  as above

        limit = question.max_output_tokens
        stream = await client.chat.completions.create(
            model=self.model,
            messages=list(self._messages(question)),
            max_tokens=limit if self._limits[0] == "max_tokens" else omit,
            max_completion_tokens=limit if self._limits[0] == "max_completion_tokens" else omit,
            response_format=_format(self._formats[0], question),
            stream=True,
            stream_options={"include_usage": True},
        )
        async with stream:
            async for chunk in stream:
                _hear(chunk, heard)
                if heard.is_too_long:
                    return

    def _messages(self, question: Question) -> Iterator["ChatCompletionMessageParam"]:
        told = "" if self._formats[0] == "json_schema" else f"\n\n{in_words(question)}"
        yield {"role": "system", "content": question.system + told}
        for message in question.messages:
            if message.role == "user":
                yield {"role": "user", "content": message.text}
            else:
                yield {"role": "assistant", "content": message.text}


def in_words(question: Question) -> str:
    """What a model is told of the schema where nothing holds it to that."""
    schema = json.dumps(question.schema, indent=1)
    return f"Answer with one JSON object that fits this JSON schema, and with nothing else:\n\n{schema}"


def _format(name: str, question: Question) -> "ResponseFormat":
    if name == "json_schema":
        schema: dict[str, object] = {**strict_schema(question.schema)}
        return {"type": "json_schema", "json_schema": {"name": question.schema_name, "schema": schema, "strict": True}}
    return {"type": "json_object"} if name == "json_object" else {"type": "text"}


def _hear(chunk: "ChatCompletionChunk", heard: Heard) -> None:
    """Take one piece of an answer; what a model says of why it will not answer is kept as its answer."""
    heard.has_begun = True
    heard.model = chunk.model or heard.model
    if (used := chunk.usage) is not None:
        details = used.prompt_tokens_details
        read, cached = count(used.prompt_tokens), count(details.cached_tokens if details else None) or 0
        written = count(used.completion_tokens)
        if read is not None and written is not None:
            heard.usage = total_usage(input_tokens=read, cached_tokens=cached, output_tokens=written)
    for choice in chunk.choices[:1]:
        heard.add(choice.delta.content or choice.delta.refusal or "")
        if choice.delta.refusal:
            heard.stop = "refused"
        elif choice.finish_reason and heard.stop != "refused":
            heard.stop = STOPS.get(choice.finish_reason, "end")
