"""A program of the user's own."""

from pathlib import Path

from graftline.agents.backend import AgentBackend
from graftline.agents.command import CommandBackend
from graftline.agents.profiles import CommandProfile
from tests.agents.stands.cases import CASES
from tests.agents.stands.stand import Stand


def make(program: Path) -> AgentBackend:
    return CommandBackend(CommandProfile(command=[str(program)], pass_env=["AGENT_KEY"], cost_usd=0.01))


STAND = Stand(
    make=make,
    success=["working", "All done."],
    last_message="working\nAll done.",
    lacking=dict.fromkeys(CASES, "any program: its exit status is all that is known of it"),
)
