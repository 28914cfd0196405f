"""Prefect blocks: what a user configures in the UI. `prefect block register -m graftline.blocks` makes them known."""

from graftline.blocks.agents import (
    AGENT_BLOCKS,
    AgentBlock,
    Aider,
    ClaudeAgentSdk,
    ClaudeCode,
    Codex,
    Command,
    Cursor,
    Gemini,
    OpenCode,
    Qwen,
    to_profile,
)

__all__ = [
    "AGENT_BLOCKS",
    "AgentBlock",
    "Aider",
    "ClaudeAgentSdk",
    "ClaudeCode",
    "Codex",
    "Command",
    "Cursor",
    "Gemini",
    "OpenCode",
    "Qwen",
    "to_profile",
]
