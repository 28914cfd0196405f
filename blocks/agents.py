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
    CommandProfile,
    CursorProfile,
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


AgentBlock = Aider | ClaudeAgentSdk | ClaudeCode | Command | Cursor
AGENT_BLOCKS: tuple[type[AgentBlock], ...] = (Aider, ClaudeAgentSdk, ClaudeCode, Command, Cursor)


def to_profile(block: AgentBlock) -> AnyProfile:
    """The plain profile a block holds, equal to the one `graftline.toml` would give.

    Secrets stay masked: they are carried over as the same `SecretStr` values.
    """
    profile_type = PROFILE_TYPES[block.type]
    # Only the profile's own fields: a block's dump has some of Prefect's.
    return profile_type.model_validate({name: getattr(block, name) for name in profile_type.model_fields})
