"""From a name in the settings, or in a task, to the agent behind it."""

from difflib import get_close_matches

from graftline.agents.aider import AiderBackend
from graftline.agents.backend import AgentBackend
from graftline.agents.claude_agent_sdk import ClaudeAgentSdkBackend
from graftline.agents.claude_code import ClaudeCodeBackend
from graftline.agents.codex import CodexBackend
from graftline.agents.command import CommandBackend
from graftline.agents.cursor import CursorBackend
from graftline.agents.gemini import GeminiBackend
from graftline.agents.opencode import OpenCodeBackend
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
from graftline.agents.qwen import QwenBackend
from graftline.errors import SettingsError
from graftline.settings import Settings


def resolve_backend(settings: Settings, name: str | None = None) -> AgentBackend:
    """The backend of a profile of `[agents]`, or of a bare type; `[agent] backend` when no name is given.

    Raises `SettingsError` for an unknown name, and where `[agent]` and `[agents]` contradict each other.
    """
    _check(settings)
    wanted = name or settings.agent.backend
    if (profile := settings.agents.get(wanted)) is not None:
        return _backend(profile)
    if wanted == "command":
        raise SettingsError(
            "agent 'command' says nothing about which command: add a profile, "
            '[agents.NAME] with type = "command" and command = ["…"], and name that'
        )
    if wanted in PROFILE_TYPES:
        return _backend(_bare_profile(settings, wanted))
    known = sorted({*settings.agents, *PROFILE_TYPES})
    nearest = get_close_matches(wanted, known, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise SettingsError(f"there is no agent profile or backend type {wanted!r}{hint} Known: {', '.join(known)}")


def _backend(profile: AnyProfile) -> AgentBackend:
    match profile:
        case AiderProfile():
            return AiderBackend(profile)
        case ClaudeAgentSdkProfile():
            return ClaudeAgentSdkBackend(profile)
        case ClaudeCodeProfile():
            return ClaudeCodeBackend(profile)
        case CodexProfile():
            return CodexBackend(profile)
        case CommandProfile():
            return CommandBackend(profile)
        case CursorProfile():
            return CursorBackend(profile)
        case GeminiProfile():
            return GeminiBackend(profile)
        case OpenCodeProfile():
            return OpenCodeBackend(profile)
        case QwenProfile():
            return QwenBackend(profile)


def _bare_profile(settings: Settings, wanted: str) -> AnyProfile:
    """`binary` and `model` belong to the backend that `[agent]` names, not to another one that a task asks for."""
    agent = settings.agent
    stated = {"binary": agent.binary, "model": agent.model} if wanted == agent.backend else {}
    return PROFILE_TYPES[wanted].model_validate({key: value for key, value in stated.items() if value})


def _check(settings: Settings) -> None:
    for name in settings.agents:
        if name in PROFILE_TYPES:
            raise SettingsError(f"[agents.{name}]: a profile cannot be named like a backend type; choose another name")
    agent = settings.agent
    stated = [key for key, value in (("binary", agent.binary), ("model", agent.model)) if value]
    if stated and agent.backend in settings.agents:
        keys = " and ".join(f"`{key}`" for key in stated)
        raise SettingsError(
            f"[agent] {keys} cannot be combined with the profile {agent.backend!r}: set it in [agents.{agent.backend}]"
        )
