"""The Codex CLI, headless, in a worktree of its own (flags verified with 0.169.0).

Nothing that the repository holds is executed or believed: its `.codex` folder is not loaded, since no project is
trusted where the person's settings are not read. Its AGENTS.md reaches the model as text.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from graftline.agents.backend import Assignment, Capabilities, Invocation, Probe
from graftline.agents.codex_transcript import CodexTranscript
from graftline.agents.environment import agent_environment, named_variables
from graftline.agents.openai_access import OpenAIAccess, openai_access
from graftline.agents.profiles import CodexProfile
from graftline.agents.provider import host_of
from graftline.agents.version import find_program, probe_cli

TESTED = ("0.169.0",)
KEY_VARIABLE = "CODEX_API_KEY"
KEY_VARIABLES = (KEY_VARIABLE, "OPENAI_API_KEY")
# Whose account a key's use is booked on.
ACCOUNT = ("OPENAI_ORGANIZATION", "OPENAI_PROJECT")
OPTIONS = (
    # Else its shells read /etc/profile, which on many systems sets PATH anew.
    "allow_login_shell=false",
    # Else it waits for a network that is away for as long as it is away.
    "features.unbounded_connection_retries=false",
    "analytics.enabled=false",
    "check_for_update_on_startup=false",
    # The key is for the CLI, not for the commands it runs.
    f'shell_environment_policy.exclude=["{KEY_VARIABLE}"]',
)
# What a form is filled in without: a shell, and what others have written.
FORM_OPTIONS = ("features.shell_tool=false", 'web_search="disabled"')


class CodexBackend:
    """Runs `codex exec --json` with the prompt on stdin."""

    type = "codex"
    call_cost_usd: float | None = None
    capabilities = Capabilities(resumes=True, fills_forms=True)

    def __init__(self, profile: CodexProfile) -> None:
        self.profile = profile

    def provider(self, environ: Mapping[str, str]) -> str:
        """The host of the API; a ChatGPT login has another one than a key."""
        access = self._access(environ)
        return host_of(access.base_url, "api.openai.com" if access.is_possible else "chatgpt.com")

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find the CLI, ask it for its version and look for credentials; nothing is sent to the provider."""
        install = "install Codex (npm install -g @openai/codex)"
        probe = await probe_cli(self.type, self.profile.binary, environ, tested=TESTED, install=install)
        access = self._access(environ)
        if access.is_possible:
            return replace(probe, access=access.description)
        home = _login_home(environ)
        if home is not None and (home / "auth.json").is_file():
            note = f"no API key is set: agents use your own login ({home}), and their sessions are kept there"
            return replace(probe, notes=(*probe.notes, note), access=f"login in {home}")
        problem = (
            f"no credentials: set {KEY_VARIABLE} or OPENAI_API_KEY, or `api_key` of the profile, or run `codex login`"
        )
        return replace(probe, problems=(*probe.problems, problem))

    def invocation(self, assignment: Assignment) -> Invocation:
        """The verified command line; the key goes by environment, the prompt by stdin."""
        access = self._access(assignment.environ)
        home = None if access.is_possible else _login_home(assignment.environ)
        env = agent_environment(
            assignment,
            self.profile,
            defaults={
                **named_variables(assignment.environ, ACCOUNT),
                **({"CODEX_HOME": str(home)} if home is not None else {}),
            },
            pinned={KEY_VARIABLE: access.key} if access.key else {},
        )
        form = assignment.form
        prompt = f"{form.instructions}\n\n{assignment.prompt}" if form else assignment.prompt
        return Invocation(
            argv=(find_program(self.profile.binary, assignment.environ), *self._arguments(assignment, access)),
            env=env,
            stdin=prompt.encode(errors="replace"),
            files={_schema(assignment): json.dumps(form.schema).encode()} if form else {},
        )

    def transcript(self, assignment: Assignment) -> CodexTranscript:
        """A reader of JSON events."""
        return CodexTranscript(assignment, self.profile.model)

    def _arguments(self, assignment: Assignment, access: OpenAIAccess) -> list[str]:
        session = assignment.session
        options = (*OPTIONS, *(_provider_options(access) if access.base_url else ()))
        arguments = ["exec", *(["resume"] if session is not None else []), "--json", "--skip-git-repo-check"]
        # The person's own settings could trust the repository, whose settings could then run code.
        arguments += ["--ignore-user-config", "--ignore-rules"]
        if assignment.form is None:
            arguments.append("--dangerously-bypass-approvals-and-sandbox")
        else:
            arguments += ["--ephemeral", "--sandbox", "read-only", "--output-schema", str(_schema(assignment))]
            options = (*options, *FORM_OPTIONS)
        if self.profile.model:
            arguments += ["--model", self.profile.model]
        for option in options:
            arguments += ["-c", option]
        return [*arguments, "--", *([session.id] if session is not None else []), "-"]

    def _access(self, environ: Mapping[str, str]) -> OpenAIAccess:
        return openai_access(self.profile, environ, KEY_VARIABLES)


def _provider_options(access: OpenAIAccess) -> tuple[str, ...]:
    """Another address is another provider: the built-in one would send it a login, and first try WebSockets there."""
    fields = {"name": "graftline", "base_url": access.base_url, "wire_api": "responses"}
    if access.key:
        fields["env_key"] = KEY_VARIABLE
    table = ", ".join(f"{name} = {_toml(value)}" for name, value in fields.items())
    return ('model_provider="graftline"', f"model_providers.graftline={{{table}}}")


def _schema(assignment: Assignment) -> Path:
    """Where a form's schema lies."""
    return assignment.folder / "schema.json"


def _toml(text: str) -> str:
    """A string of TOML, which has JSON's escapes but for pairs of surrogates."""
    return json.dumps(text, ensure_ascii=False)


def _login_home(environ: Mapping[str, str]) -> Path | None:
    """Where the person's login is kept, and with it the sessions of whoever uses it."""
    if environ.get("CODEX_HOME"):
        return Path(environ["CODEX_HOME"])
    return Path(environ["HOME"]) / ".codex" if environ.get("HOME") else None
