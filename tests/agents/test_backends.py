"""Names of agents: a profile, a type, or an error that says which names there are."""

import pytest

from graftline.agents.backend import AgentBackend
from graftline.agents.backends import resolve_backend
from graftline.agents.claude_code import ClaudeCodeBackend
from graftline.agents.command import CommandBackend
from graftline.agents.profiles import PROFILE_TYPES, AnyProfile, ClaudeCodeProfile, CommandProfile
from graftline.errors import SettingsError
from graftline.settings import AgentSettings, Settings

SCRIPTED = CommandProfile(command=["python3", "agent.py"], cost_usd=0.25)
DEEP = ClaudeCodeProfile(model="opus")


def settings(backend: str = "claude-code", *, binary: str = "", model: str = "", **agents: AnyProfile) -> Settings:
    return Settings(agent=AgentSettings(backend=backend, binary=binary, model=model), agents=agents)


def profile_of(backend: AgentBackend) -> AnyProfile:
    assert isinstance(backend, CommandBackend | ClaudeCodeBackend)
    return backend.profile


def test_default_is_claude_code() -> None:
    backend = resolve_backend(Settings())
    assert (backend.type, profile_of(backend)) == ("claude-code", ClaudeCodeProfile())


def test_profile_is_found_by_its_name() -> None:
    known = settings("scripted", scripted=SCRIPTED, deep=DEEP)
    backend = resolve_backend(known)
    assert (backend.type, backend.call_cost_usd, profile_of(backend)) == ("command", 0.25, SCRIPTED)
    assert profile_of(resolve_backend(known, "deep")) == DEEP


def test_binary_and_model_apply_to_the_type_they_stand_beside() -> None:
    known = settings(binary="/opt/claude", model="sonnet", deep=DEEP)
    stated = ClaudeCodeProfile(binary="/opt/claude", model="sonnet")
    assert profile_of(resolve_backend(known)) == stated
    assert profile_of(resolve_backend(known, "claude-code")) == stated
    assert profile_of(resolve_backend(known, "deep")) == DEEP


def test_binary_and_model_do_not_leak_to_a_type_named_by_a_task() -> None:
    assert profile_of(resolve_backend(settings("scripted", scripted=SCRIPTED), "claude-code")) == ClaudeCodeProfile()


@pytest.mark.parametrize(
    ("known", "name", "message"),
    [
        (
            settings("deep", binary="x", model="y", deep=DEEP),
            None,
            r"\[agent\] `binary` and `model` cannot be combined with the profile 'deep': set it in \[agents\.deep\]",
        ),
        (
            settings(scripted=SCRIPTED),
            "scriptd",
            rf"'scriptd'; did you mean 'scripted'\? Known: {', '.join(sorted([*PROFILE_TYPES, 'scripted']))}$",
        ),
        (settings("codex-x"), None, r"no agent profile or backend type 'codex-x'; Known|'codex-x' Known|codex-x"),
        (settings("command"), None, r"'command' says nothing about which command: add a profile, \[agents\.NAME\]"),
        (
            Settings(agents={"command": SCRIPTED}),
            None,
            r"\[agents\.command\]: a profile cannot be named like a backend",
        ),
        (Settings(agents={"claude-code": DEEP}), "other", r"\[agents\.claude-code\]: a profile cannot be named like"),
    ],
)
def test_contradictions_and_unknown_names_are_settings_errors(known: Settings, name: str | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        resolve_backend(known, name)
