"""The stand-ins for the agent CLIs, one module each."""

from collections.abc import Mapping

from tests.agents.stands import claude_code, codex, command, gemini, opencode, qwen
from tests.agents.stands.stand import Stand

STANDS: Mapping[str, Stand] = {
    "claude-code": claude_code.STAND,
    "codex": codex.STAND,
    "command": command.STAND,
    "gemini": gemini.STAND,
    "opencode": opencode.STAND,
    "qwen": qwen.STAND,
}
