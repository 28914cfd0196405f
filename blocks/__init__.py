"""Prefect blocks: what a user configures in the UI. `prefect block register -m graftline.blocks` makes them known."""

from graftline.blocks.agents import AgentBlock, ClaudeCode, Command, to_profile

__all__ = ["AgentBlock", "ClaudeCode", "Command", "to_profile"]
