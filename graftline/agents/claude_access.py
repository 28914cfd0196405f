"""How Claude Code reaches its model, through the CLI or its SDK: credentials, address and the variables around them."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from graftline.agents.backend import Assignment, Probe
from graftline.agents.environment import agent_environment, named_variables
from graftline.agents.profiles import ClaudeProfile
from graftline.agents.provider import host_of

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
class ClaudeAccess:
    """Access by `variables`, of which `credential` decides, or by the person's own login when `login_home` is set."""

    variables: dict[str, str]
    login_home: dict[str, str]
    credential: str = ""

    @property
    def login(self) -> Path | None:
        """The file that shows a login: with CLAUDE_CONFIG_DIR or HOME of the person."""
        home = Path(self.login_home.get("HOME") or "/nonexistent")
        config = Path(self.login_home["CLAUDE_CONFIG_DIR"]) if self.login_home.get("CLAUDE_CONFIG_DIR") else None
        candidates = [(config or home / ".claude") / ".credentials.json"]
        if sys.platform == "darwin":  # the credentials themselves are in the keychain
            candidates.append(home / ".claude.json")
        return next((path for path in candidates if path.is_file()), None)


def claude_access(profile: ClaudeProfile, environ: Mapping[str, str]) -> ClaudeAccess:
    """What gives a profile access to its model."""
    inherited = {name: value for name, value in environ.items() if _is_access(name) and value}
    stated = {
        name: secret.get_secret_value()
        for name, secret in (("ANTHROPIC_API_KEY", profile.api_key), ("ANTHROPIC_AUTH_TOKEN", profile.auth_token))
        if secret is not None
    }
    if stated:
        # Beside a token of the environment the profile's key would not count; and a server that the profile names
        # must not be shown a key that is meant for another one.
        inherited = {name: value for name, value in inherited.items() if name not in CREDENTIALS}
    variables = {
        **inherited,
        **stated,
        **({"ANTHROPIC_BASE_URL": profile.base_url} if profile.base_url else {}),
        **{name: value for name, value in profile.env.items() if _is_access(name)},
    }
    handed_on = {**variables, **named_variables(environ, profile.pass_env), **profile.env}
    if credential := next((name for name in (*CREDENTIALS, *CLOUDS) if handed_on.get(name)), ""):
        return ClaudeAccess(variables, login_home={}, credential=credential)
    return ClaudeAccess(variables, login_home=named_variables(environ, ("HOME", "CLAUDE_CONFIG_DIR")))


def claude_provider(profile: ClaudeProfile, environ: Mapping[str, str]) -> str:
    """The host of the API, or the cloud that stands in for it."""
    variables = claude_access(profile, environ).variables
    cloud = next((name for name in CLOUDS if {**environ, **profile.env}.get(name)), "")
    return cloud.removeprefix("CLAUDE_CODE_USE_").lower() or host_of(
        variables.get("ANTHROPIC_BASE_URL", ""), "api.anthropic.com"
    )


def with_access(probe: Probe, profile: ClaudeProfile, environ: Mapping[str, str]) -> Probe:
    """A probe with what there is of credentials; nothing is sent to the provider."""
    access = claude_access(profile, environ)
    if not access.login_home:
        return replace(probe, access=access.credential)
    if access.login is None:
        problem = "no credentials: set ANTHROPIC_API_KEY, or `api_key` of the profile, or run `claude /login`"
        return replace(probe, problems=(*probe.problems, problem))
    folder = access.login.parent
    note = f"no API key is set: agents use your own login and user settings ({folder})"
    return replace(probe, notes=(*probe.notes, note), access=f"login in {folder}")


def claude_environment(assignment: Assignment, profile: ClaudeProfile) -> dict[str, str]:
    """The environment of a call; its own configuration folder unless the person's login is used."""
    access = claude_access(profile, assignment.environ)
    config = {"CLAUDE_CONFIG_DIR": str(assignment.home / ".claude")}
    # The CLI refuses to skip permissions for root unless it believes itself in a sandbox.
    sandbox = {"IS_SANDBOX": "1"} if os.geteuid() == 0 else {}
    return agent_environment(
        assignment,
        profile,
        defaults={**DEFAULTS, **(access.login_home or config)},
        pinned={**access.variables, **sandbox},
    )


def _is_access(name: str) -> bool:
    return name.startswith("ANTHROPIC_") or name == "CLAUDE_CODE_OAUTH_TOKEN"
