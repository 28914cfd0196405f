"""One call through the Claude Agent SDK: a program of its own, started by path, which knows nothing else of graftline.

The SDK hands its whole environment to the CLI it starts and cannot take a variable away, so it must not run within
graftline. Its one argument is the SDK's options as JSON, the prompt comes on stdin, and what the SDK yields is printed
as the events that the CLI itself would print, one a line. `--version` prints the SDK's version.
"""

import asyncio
import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping

try:
    import claude_agent_sdk as sdk
except ImportError as error:
    sys.exit(f"{error}: pip install 'graftline[claude-agent-sdk]'")

# The SDK gives up on an event that is longer than this; what a tool read or printed is in one.
MAX_EVENT_BYTES = 64 * 1024 * 1024


def event_of(message: object) -> Mapping[str, object] | None:
    """The CLI's event that a message of the SDK stands for; None for one that tells nothing of the call."""
    match message:
        case sdk.SystemMessage():
            return dict(message.data)
        case sdk.AssistantMessage():
            content = list(_blocks(message.content))
            told = {"parent_tool_use_id": message.parent_tool_use_id, "error": message.error}
            return {"type": "assistant", "message": {"content": content}, **told}
        case sdk.UserMessage():
            content = [] if isinstance(message.content, str) else list(_blocks(message.content))
            return {"type": "user", "message": {"content": content}}
        case sdk.ResultMessage():
            return {"type": "result", **dataclasses.asdict(message), "modelUsage": message.model_usage}
        case sdk.RateLimitEvent():
            return {"type": "rate_limit_event", "rate_limit_info": message.rate_limit_info.raw}
        case _:
            return None


def _blocks(content: Iterable[object]) -> Iterable[Mapping[str, object]]:
    for block in content:
        match block:
            case sdk.TextBlock():
                yield {"type": "text", "text": block.text}
            case sdk.ToolUseBlock():
                yield {"type": "tool_use", "name": block.name, "input": block.input}
            case sdk.ToolResultBlock():
                yield {"type": "tool_result", "content": block.content, "is_error": block.is_error}


async def call(prompt: str, options: Mapping[str, object]) -> None:
    """Carry out the call and print its events as they come."""

    def print_error(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the output of this program

    chosen = sdk.ClaudeAgentOptions(**options, stderr=print_error, max_buffer_size=MAX_EVENT_BYTES)
    async for message in sdk.query(prompt=prompt, options=chosen):
        if (event := event_of(message)) is not None:
            print(json.dumps(event, default=str), flush=True)  # noqa: T201 - the output of this program


def main(argument: str) -> None:
    """Carry out one call, or tell the version."""
    if argument == "--version":
        print(sdk.__version__)  # noqa: T201 - the output of this program
        return
    prompt = sys.stdin.buffer.read().decode(errors="replace")
    try:
        asyncio.run(call(prompt, json.loads(argument)))
    except sdk.ClaudeSDKError as error:
        # The CLI's verdict has been printed before; without one, this is all there is to know.
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1])
