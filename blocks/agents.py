"""Agent backends as Prefect blocks: the profiles of `[agents.NAME]`, with a form in the UI and secrets kept encrypted.

The block types carry a prefix in their names because the block catalogue of a server is shared by everything that
registers there. They have no logo: Prefect takes an address only, which every viewer's browser would fetch.
"""

from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import ConfigDict

from graftline.agents.profiles import (
    PROFILE_TYPES,
    AiderProfile,
    AnyProfile,
    ClaudeAgentSdkProfile,
    ClaudeCodeProfile,
    CodexProfile,
    CommandProfile,
    CursorProfile,
    GeminiProfile,
    OpenCodeProfile,
    QwenProfile,
)


class Aider(AiderProfile, Block):
    """A profile of aider that flows load by the block's name."""

    # Again here, because Block's own default allows extras: a typo would pass in silence, and Prefect's API would
    # refuse a reference to a saved block without required fields (the reference itself validates as an inline block).
    model_config = ConfigDict(extra="forbid")

    _block_type_name: ClassVar[str | None] = "Graftline Aider"
    _block_type_slug: ClassVar[str | None] = "graftline-aider"
    _description: ClassVar[str | None] = "A profile of aider: model, key, address and environment."
    _code_example: ClassVar[str | None] = (
        '```python\nfrom graftline.blocks import Aider\n\nAider(model="openai/gpt-5").save("one-shot")\n```'
    )


class ClaudeAgentSdk(ClaudeAgentSdkProfile, Block):
    """A profile of the Claude Agent SDK that flows load by the block's name."""

    model_config = ConfigDict(extra="forbid")  # as above

    _block_type_name: ClassVar[str | None] = "Graftline Claude Agent SDK"
    _block_type_slug: ClassVar[str | None] = "graftline-claude-agent-sdk"
    _description: ClassVar[str | None] = "A profile of the Claude Agent SDK: model, limits, key and environment."
    _code_example: ClassVar[str | None] = (
        "```python\n"
        "from graftline.blocks import ClaudeAgentSdk\n\n"
        'ClaudeAgentSdk(model="sonnet", max_turns=60).save("builder")\n'
        "```"
    )


class ClaudeCode(ClaudeCodeProfile, Block):
    """A profile of the Claude Code CLI that flows load by the block's name."""

    model_config = ConfigDict(extra="forbid")  # as above

    _block_type_name: ClassVar[str | None] = "Graftline Claude Code"
    _block_type_slug: ClassVar[str | None] = "graftline-claude-code"
    _description: ClassVar[str | None] = "A profile of the Claude Code CLI: model, limits, key and environment."
    _code_example: ClassVar[str | None] = (
        "```python\n"
        "from graftline.blocks import ClaudeCode\n\n"
        'ClaudeCode(model="sonnet", max_turns=60).save("reviewer")\n'
        "```"
    )


class Codex(CodexProfile, Block):
    """A profile of the Codex CLI that flows load by the block's name."""

    model_config = ConfigDict(extra="forbid")  # as above

    _block_type_name: ClassVar[str | None] = "Graftline Codex"
    _block_type_slug: ClassVar[str | None] = "graftline-codex"
    _description: ClassVar[str | None] = "A profile of the Codex CLI: model, address, key and environment."
    _code_example: ClassVar[str | None] = (
        '```python\nfrom graftline.blocks import Codex\n\nCodex(model="gpt-5.5").save("second-opinion")\n```'
    )


class Command(CommandProfile, Block):
    """A profile of any executable that flows load by the block's name."""

    model_config = ConfigDict(extra="forbid")  # as above

    _block_type_name: ClassVar[str | None] = "Graftline Command"
    _block_type_slug: ClassVar[str | None] = "graftline-command"
    _description: ClassVar[str | None] = "Any executable as an agent: prompt on stdin, run in the task's worktree."
    _code_example: ClassVar[str | None] = (
        "```python\n"
        "from graftline.blocks import Command\n\n"
        'Command(command=["python3", "agent.py"]).save("scripted")\n'
        "```"
    )


class Cursor(CursorProfile, Block):
    """A profile of the Cursor CLI that flows load by the block's name."""

    model_config = ConfigDict(extra="forbid")  # as above

    _block_type_name: ClassVar[str | None] = "Graftline Cursor"
    _block_type_slug: ClassVar[str | None] = "graftline-cursor"
    _description: ClassVar[str | None] = "A profile of the Cursor CLI: model, key and environment."
    _code_example: ClassVar[str | None] = (
        '```python\nfrom graftline.blocks import Cursor\n\nCursor(model="auto").save("editor")\n```'
    )


class Gemini(GeminiProfile, Block):
    """A profile of the Gemini CLI that flows load by the block's name."""

    model_config = ConfigDict(extra="forbid")  # as above

    _block_type_name: ClassVar[str | None] = "Graftline Gemini"
    _block_type_slug: ClassVar[str | None] = "graftline-gemini"
    _description: ClassVar[str | None] = "A profile of the Gemini CLI: model, turn limit, key and environment."
    _code_example: ClassVar[str | None] = (
        "```python\n"
        "from graftline.blocks import Gemini\n\n"
        'Gemini(model="gemini-2.5-pro", max_turns=60).save("explorer")\n'
        "```"
    )


class OpenCode(OpenCodeProfile, Block):
    """A profile of OpenCode that flows load by the block's name."""

    model_config = ConfigDict(extra="forbid")  # as above

    _block_type_name: ClassVar[str | None] = "Graftline OpenCode"
    _block_type_slug: ClassVar[str | None] = "graftline-opencode"
    _description: ClassVar[str | None] = "A profile of OpenCode: provider and model, address, key and environment."
    _code_example: ClassVar[str | None] = (
        "```python\n"
        "from graftline.blocks import OpenCode\n\n"
        'OpenCode(model="qwen3-coder", base_url="http://localhost:11434/v1").save("local")\n'
        "```"
    )


class Qwen(QwenProfile, Block):
    """A profile of the Qwen Code CLI that flows load by the block's name."""

    model_config = ConfigDict(extra="forbid")  # as above

    _block_type_name: ClassVar[str | None] = "Graftline Qwen"
    _block_type_slug: ClassVar[str | None] = "graftline-qwen"
    _description: ClassVar[str | None] = "A profile of the Qwen Code CLI: model, address, turn limit and key."
    _code_example: ClassVar[str | None] = (
        "```python\n"
        "from graftline.blocks import Qwen\n\n"
        'Qwen(model="qwen3-coder", base_url="http://127.0.0.1:11434/v1").save("local")\n'
        "```"
    )


AgentBlock = Aider | ClaudeAgentSdk | ClaudeCode | Codex | Command | Cursor | Gemini | OpenCode | Qwen
AGENT_BLOCKS: tuple[type[AgentBlock], ...] = (
    Aider,
    ClaudeAgentSdk,
    ClaudeCode,
    Codex,
    Command,
    Cursor,
    Gemini,
    OpenCode,
    Qwen,
)


def to_profile(block: AgentBlock) -> AnyProfile:
    """The plain profile a block holds, equal to the one `graftline.toml` would give.

    Secrets stay masked: they are carried over as the same `SecretStr` values.
    """
    profile_type = PROFILE_TYPES[block.type]
    # Only the profile's own fields: a block's dump has some of Prefect's.
    return profile_type.model_validate({name: getattr(block, name) for name in profile_type.model_fields})
