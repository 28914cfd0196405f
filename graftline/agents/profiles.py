"""Agent profiles: what a person configures, in `[agents.NAME]` of graftline.toml or as a Prefect block.

One class serves both places, so a field exists once. A profile is plain data; `graftline.agents.backends` turns it
into a backend.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from graftline.agents.tiers import Tier


class AgentProfile(BaseModel):
    """What every type of agent has in common."""

    model_config = ConfigDict(extra="forbid")

    tier: Tier | None = Field(
        default=None,
        title="Tier",
        description="What tasks and `[models]` ask for instead of a name; no two profiles have the same",
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        title="Environment",
        description="Variables the agent's process gets; no secrets",
    )
    pass_env: list[str] = Field(
        default_factory=list,
        title="Passed environment",
        description="Names of variables that the agent's process gets from graftline's own environment",
    )


class CommandProfile(AgentProfile):
    """Any executable: prompt on stdin, cwd is the worktree, facts in `GRAFTLINE_TASK_*`."""

    type: Literal["command"] = "command"
    command: list[str] = Field(min_length=1, title="Command", description="The argv to run, never through a shell")
    cost_usd: float | None = Field(
        default=None,
        ge=0,
        title="Cost per call",
        description="US dollars one call costs; unknown when left out",
    )


class CliProfile(AgentProfile):
    """What the CLIs of model providers have in common; each says what its key and address are when left out."""

    model: str = Field(default="", title="Model", description="Model name or alias; the CLI's default when empty")
    base_url: str = Field(default="", title="Base URL", description="API address; the environment's when empty")
    api_key: SecretStr | None = Field(default=None, title="API key", description="The environment's when left out")


class ClaudeProfile(CliProfile):
    """What the Claude Code CLI and its SDK have in common."""

    auth_token: SecretStr | None = Field(
        default=None, title="Auth token", description="Bearer token, for gateways and local servers, instead of a key"
    )
    fallback_model: str = Field(
        default="", title="Fallback model", description="Model used when the first one is overloaded"
    )
    max_turns: int | None = Field(default=None, gt=0, title="Turn limit", description="Turns one call may take")


class ClaudeCodeProfile(ClaudeProfile):
    """The Claude Code CLI, headless."""

    type: Literal["claude-code"] = "claude-code"
    binary: str = Field(default="claude", title="Binary", description="Name on PATH, or path, of the CLI")


class ClaudeAgentSdkProfile(ClaudeProfile):
    """The Claude Agent SDK for Python, which brings a CLI of its own."""

    type: Literal["claude-agent-sdk"] = "claude-agent-sdk"
    binary: str = Field(
        default="", title="Binary", description="Name on PATH, or path, of a CLI to use instead of the SDK's own"
    )


class AiderProfile(CliProfile):
    """Aider: one request, one answer with edits."""

    type: Literal["aider"] = "aider"
    binary: str = Field(default="aider", title="Binary", description="Name on PATH, or path, of the CLI")
    edit_format: str = Field(
        default="", title="Edit format", description="How the model writes its edits; aider's choice when empty"
    )


class CursorProfile(AgentProfile):
    """The Cursor CLI, headless."""

    type: Literal["cursor"] = "cursor"
    binary: str = Field(default="cursor-agent", title="Binary", description="Name on PATH, or path, of the CLI")
    model: str = Field(default="", title="Model", description="Model name; the account's default when empty")
    api_key: SecretStr | None = Field(default=None, title="API key", description="The environment's when left out")


class CodexProfile(CliProfile):
    """The Codex CLI, headless."""

    type: Literal["codex"] = "codex"
    binary: str = Field(default="codex", title="Binary", description="Name on PATH, or path, of the CLI")


class GeminiProfile(CliProfile):
    """The Gemini CLI, headless."""

    type: Literal["gemini"] = "gemini"
    binary: str = Field(default="gemini", title="Binary", description="Name on PATH, or path, of the CLI")
    max_turns: int | None = Field(default=None, gt=0, title="Turn limit", description="Turns one call may take")


class OpenCodeProfile(CliProfile):
    """OpenCode, headless, with one of its own providers or any API that is compatible with OpenAI's."""

    type: Literal["opencode"] = "opencode"
    binary: str = Field(default="opencode", title="Binary", description="Name on PATH, or path, of the CLI")
    model: str = Field(default="", title="Model", description="PROVIDER/MODEL; with a base URL, any model it serves")
    base_url: str = Field(
        default="", title="Base URL", description="Address of an API that is compatible with OpenAI's, such as Ollama's"
    )


class QwenProfile(CliProfile):
    """The Qwen Code CLI, headless."""

    type: Literal["qwen"] = "qwen"
    binary: str = Field(default="qwen", title="Binary", description="Name on PATH, or path, of the CLI")
    max_turns: int | None = Field(default=None, gt=0, title="Turn limit", description="Turns one call may take")


_Profile = (
    AiderProfile
    | ClaudeAgentSdkProfile
    | ClaudeCodeProfile
    | CodexProfile
    | CommandProfile
    | CursorProfile
    | GeminiProfile
    | OpenCodeProfile
    | QwenProfile
)
AnyProfile = Annotated[_Profile, Field(discriminator="type")]
PROFILE_TYPES: dict[str, type[_Profile]] = {
    "aider": AiderProfile,
    "claude-agent-sdk": ClaudeAgentSdkProfile,
    "claude-code": ClaudeCodeProfile,
    "codex": CodexProfile,
    "command": CommandProfile,
    "cursor": CursorProfile,
    "gemini": GeminiProfile,
    "opencode": OpenCodeProfile,
    "qwen": QwenProfile,
}
