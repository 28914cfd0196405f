"""The Claude Code CLI, headless, in a worktree of its own (flags verified with 2.1.197 and 2.1.329).

Nothing that the repository holds is executed or believed: its settings, hooks and MCP servers are not loaded, and its
CLAUDE.md is handed over as text.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from graftline.agents.backend import Assignment, Capabilities, Invocation, Probe
from graftline.agents.claude_transcript import ClaudeTranscript
from graftline.agents.environment import agent_environment, named_variables
from graftline.agents.guide import read_guide
from graftline.agents.profiles import ClaudeCodeProfile
from graftline.agents.provider import host_of
from graftline.agents.version import find_program, probe_cli

TESTED = ("2.1.197", "2.1.329")
DEFAULTS = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    # Kept per repository, not per worktree: attempts would read each other's.
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    # The CLI's own 10 tries hold on to a refused key for three minutes.
    "CLAUDE_CODE_MAX_RETRIES": "4",
    "DISABLE_AUTOUPDATER": "1",
}
CREDENTIALS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
CLOUDS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")


@dataclass(frozen=True)
class _Access:
    """How the CLI reaches its model: by variables, or by the person's own login when `login_home` is set.

    `credential` is the variable that decides.
    """

    variables: dict[str, str]
    login_home: dict[str, str]
    credential: str = ""


class ClaudeCodeBackend:
    """Runs `claude -p` with the prompt on stdin."""

    type = "claude-code"
    call_cost_usd: float | None = None
    capabilities = Capabilities(resumes=True, enforces_budget=True, reports_cost=True)

    def __init__(self, profile: ClaudeCodeProfile) -> None:
        self.profile = profile

    def provider(self, environ: Mapping[str, str]) -> str:
        """The host of the API, or the cloud that stands in for it."""
        access = self._access(environ)
        cloud = next((name for name in CLOUDS if {**environ, **self.profile.env}.get(name)), "")
        return cloud.removeprefix("CLAUDE_CODE_USE_").lower() or host_of(
            access.variables.get("ANTHROPIC_BASE_URL", ""), "api.anthropic.com"
        )

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find the CLI, ask it for its version and look for credentials; nothing is sent to the provider."""
        install = "install Claude Code (npm install -g @anthropic-ai/claude-code)"
        probe = await probe_cli(self.type, self.profile.binary, environ, tested=TESTED, install=install)
        access = self._access(environ)
        if not access.login_home:
            return replace(probe, access=access.credential)
        login = _login_file(access.login_home)
        if login is None:
            problem = "no credentials: set ANTHROPIC_API_KEY, or `api_key` of the profile, or run `claude /login`"
            return replace(probe, problems=(*probe.problems, problem))
        note = f"no API key is set: agents use your own login and user settings ({login.parent})"
        return replace(probe, notes=(*probe.notes, note), access=f"login in {login.parent}")

    def invocation(self, assignment: Assignment) -> Invocation:
        """The verified command line; credentials go by environment, the prompt by stdin."""
        access = self._access(assignment.environ)
        config = {"CLAUDE_CONFIG_DIR": str(assignment.home / ".claude")}
        # The CLI refuses to skip permissions for root unless it believes itself in a sandbox.
        sandbox = {"IS_SANDBOX": "1"} if os.geteuid() == 0 else {}
        env = agent_environment(
            assignment,
            self.profile,
            defaults={**DEFAULTS, **(access.login_home or config)},
            pinned={**access.variables, **sandbox},
        )
        return Invocation(
            argv=(find_program(self.profile.binary, assignment.environ), *self._arguments(assignment)),
            env=env,
            stdin=assignment.prompt.encode(errors="replace"),
        )

    def transcript(self, assignment: Assignment) -> ClaudeTranscript:
        """A reader of stream-json events."""
        del assignment  # one call's output is like any other's
        return ClaudeTranscript()

    def _arguments(self, assignment: Assignment) -> list[str]:
        profile = self.profile
        arguments = ["-p", "--output-format", "stream-json", "--verbose"]
        # The repository's settings could run hooks and send the key elsewhere, its .mcp.json start servers.
        arguments += ["--setting-sources", "user", "--strict-mcp-config", "--dangerously-skip-permissions"]
        if profile.model:
            arguments += ["--model", profile.model]
        if profile.fallback_model and profile.fallback_model != profile.model:
            arguments += ["--fallback-model", profile.fallback_model]
        if profile.max_turns is not None:
            arguments += ["--max-turns", str(profile.max_turns)]
        if assignment.budget_usd is not None:
            arguments += ["--max-budget-usd", f"{assignment.budget_usd:f}"]
        if assignment.session is not None:
            arguments += ["--resume", assignment.session.id]
        elif assignment.session_id:
            arguments += ["--session-id", assignment.session_id]
        if guide := read_guide(assignment.worktree, "CLAUDE.md"):
            arguments += ["--append-system-prompt", guide]
        return arguments

    def _access(self, environ: Mapping[str, str]) -> _Access:
        profile = self.profile
        inherited = {name: value for name, value in environ.items() if _is_access(name) and value}
        if profile.api_key is not None:
            # Beside a token of the environment the profile's key would not count.
            inherited = {name: value for name, value in inherited.items() if name not in CREDENTIALS}
        variables = {
            **inherited,
            **({"ANTHROPIC_API_KEY": profile.api_key.get_secret_value()} if profile.api_key is not None else {}),
            **({"ANTHROPIC_BASE_URL": profile.base_url} if profile.base_url else {}),
            **{name: value for name, value in profile.env.items() if _is_access(name)},
        }
        handed_on = {**variables, **named_variables(environ, profile.pass_env), **profile.env}
        if credential := next((name for name in (*CREDENTIALS, *CLOUDS) if handed_on.get(name)), ""):
            return _Access(variables, login_home={}, credential=credential)
        return _Access(variables, login_home=named_variables(environ, ("HOME", "CLAUDE_CONFIG_DIR")))


def _is_access(name: str) -> bool:
    return name.startswith("ANTHROPIC_") or name == "CLAUDE_CODE_OAUTH_TOKEN"


def _login_file(login_home: Mapping[str, str]) -> Path | None:
    """The file that shows a login: with CLAUDE_CONFIG_DIR or HOME of the person."""
    home = Path(login_home.get("HOME") or "/nonexistent")
    config = Path(login_home["CLAUDE_CONFIG_DIR"]) if login_home.get("CLAUDE_CONFIG_DIR") else home / ".claude"
    candidates = [config / ".credentials.json"]
    if sys.platform == "darwin":  # the credentials themselves are in the keychain
        candidates.append(home / ".claude.json")
    return next((path for path in candidates if path.is_file()), None)
