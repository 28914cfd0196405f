"""The stand-ins for the agent CLIs, one module each."""

from collections.abc import Mapping

from tests.agents.stands import (
    aider,
    claude_agent_sdk,
    claude_code,
    codex,
    command,
    cursor,
    gemini,
    opencode,
    qwen,
)
from tests.agents.stands.stand import Stand

STANDS: Mapping[str, Stand] = {
    "aider": aider.STAND,
    "claude-agent-sdk": claude_agent_sdk.STAND,
    "claude-code": claude_code.STAND,
    "codex": codex.STAND,
    "command": command.STAND,
    "cursor": cursor.STAND,
    "gemini": gemini.STAND,
    "opencode": opencode.STAND,
    "qwen": qwen.STAND,
}
