"""OpenCode, headless, in a worktree of its own (flags verified with 1.18.33).

It speaks to any API that is compatible with OpenAI's, Ollama's among them, or to one of the providers it knows by
itself. Nothing that the repository holds is executed or believed: language servers and formatters are off, AGENTS.md is
handed over as text, and a worktree with configuration or plugins for OpenCode is refused, because this version runs
plugins in spite of every switch.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from graftline.agents.backend import Assignment, Capabilities, Invocation, Probe
from graftline.agents.environment import agent_environment
from graftline.agents.guide import read_guide
from graftline.agents.opencode_transcript import OpenCodeTranscript
from graftline.agents.profiles import OpenCodeProfile
from graftline.agents.project_files import refuse_project_files
from graftline.agents.provider import host_of
from graftline.agents.version import find_program, probe_cli

TESTED = ("1.18.33",)
DEFAULTS = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    # It has a list of models with it.
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
}
PINNED = {
    # The repository's configuration could start servers, load plugins and send the key to another address.
    "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
}
KEY_VARIABLE = "OPENCODE_PROVIDER_KEY"
# Code in there runs whatever is switched off, and so does what the files name.
REFUSED = (
    *("opencode.json", "opencode.jsonc", ".opencode/opencode.json", ".opencode/opencode.jsonc"),
    *(".opencode/plugin", ".opencode/plugins"),
)
# What stands in the configuration for an API that is compatible with OpenAI's, at an address of the profile.
COMPATIBLE = "compatible"


class OpenCodeBackend:
    """Runs `opencode run` with the prompt on stdin."""

    type = "opencode"
    call_cost_usd: float | None = None

    def __init__(self, profile: OpenCodeProfile) -> None:
        self.profile = profile

    @property
    def capabilities(self) -> Capabilities:
        """It reports costs by a price list of its own, which knows only the models of its own providers."""
        return Capabilities(resumes=True, reports_cost=not self.profile.base_url)

    def provider(self, environ: Mapping[str, str]) -> str:
        """The host of the API, or the name of the provider that OpenCode knows by itself."""
        del environ  # the profile says it all
        return host_of(self.profile.base_url, "") or self._model()[0]

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find the CLI, ask it for its version and look for model and key; nothing is sent to the provider."""
        install = "install OpenCode (npm install -g opencode-ai)"
        probe = await probe_cli(
            self.type, self.profile.binary, environ, tested=TESTED, install=install, variables={**DEFAULTS, **PINNED}
        )
        problem = self._problem(environ)
        problems = (*probe.problems, problem) if problem else probe.problems
        return replace(probe, problems=problems, access=self._access(environ))

    def invocation(self, assignment: Assignment) -> Invocation:
        """The verified command line; configuration and key go by environment, the prompt by stdin.

        Raises `UserError` for a worktree with files that OpenCode would run.
        """
        refuse_project_files(assignment.worktree, REFUSED, cli="OpenCode")
        key = self._key(assignment.environ)
        config = json.dumps(self._config(has_key=bool(key)))
        pinned = {**PINNED, "OPENCODE_CONFIG_CONTENT": config, **({KEY_VARIABLE: key} if key else {})}
        # Wherever these point to, it takes configuration, plugins and credentials from.
        places = {"XDG_CONFIG_HOME": assignment.home / ".config", "XDG_DATA_HOME": assignment.home / ".local" / "share"}
        pinned |= {name: str(path) for name, path in places.items()}
        folder = places["XDG_CONFIG_HOME"] / "opencode"
        guide = read_guide(assignment.worktree, "AGENTS.md") or read_guide(assignment.worktree, "CLAUDE.md")
        return Invocation(
            argv=(find_program(self.profile.binary, assignment.environ), *_arguments(assignment)),
            env=agent_environment(assignment, self.profile, defaults=DEFAULTS, pinned=pinned),
            stdin=assignment.prompt.encode(errors="replace"),
            files={folder / "AGENTS.md": guide.encode(), **_installed_plugins(folder)},
        )

    def transcript(self, assignment: Assignment) -> OpenCodeTranscript:
        """A reader of JSON events."""
        del assignment  # one call's output is like any other's
        return OpenCodeTranscript(self._model()[1])

    def _model(self) -> tuple[str, str]:
        """Provider and model as OpenCode names them; names of models may hold slashes themselves."""
        if self.profile.base_url:
            return COMPATIBLE, self.profile.model
        provider, _, model = self.profile.model.partition("/")
        return provider, model

    def _config(self, *, has_key: bool) -> dict[str, object]:
        provider, model = self._model()
        name = f"{provider}/{model}"
        options = {
            **({"baseURL": self.profile.base_url} if self.profile.base_url else {}),
            **({"apiKey": f"{{env:{KEY_VARIABLE}}}"} if has_key else {}),
        }
        compatible = {"npm": "@ai-sdk/openai-compatible", "name": COMPATIBLE, "models": {model: {}}}
        return {
            "model": name,
            "small_model": name,
            # What a subagent uses is in no event.
            "permission": {"*": "allow", "task": "deny"},
            "autoupdate": False,
            "share": "disabled",
            "snapshot": False,
            "lsp": False,
            "formatter": False,
            "enabled_providers": [provider],
            "provider": {provider: {**(compatible if self.profile.base_url else {}), "options": options}},
        }

    def _key(self, environ: Mapping[str, str]) -> str:
        """The profile's key, or that of the provider by the usual name; an address of one's own gets no other's key."""
        if self.profile.api_key is not None:
            return self.profile.api_key.get_secret_value()
        return "" if self.profile.base_url else {**environ, **self.profile.env}.get(self._key_name(), "")

    def _key_name(self) -> str:
        return f"{self._model()[0].upper().replace('-', '_')}_API_KEY"

    def _problem(self, environ: Mapping[str, str]) -> str:
        profile = self.profile
        if not profile.model:
            return 'no model: set `model`, such as "anthropic/claude-sonnet-4-5", or with `base_url` any that it serves'
        if not all(self._model()):
            return f"`model` is to name a provider too, as PROVIDER/{profile.model}, or `base_url` to say who serves it"
        if self._access(environ):
            return ""
        name = self._key_name()
        return f"no credentials: set {name}, or `api_key` of the profile, or name its variables in `pass_env`"

    def _access(self, environ: Mapping[str, str]) -> str:
        """The name of what the provider is reached by; empty where nothing says so."""
        if self.profile.api_key is not None:
            return "api_key of the profile"
        if self.profile.base_url:
            return "no key, at an address of its own"
        return self._key_name() if self._key(environ) else ", ".join(self.profile.pass_env)


def _arguments(assignment: Assignment) -> list[str]:
    # With a title it asks no model for one.
    arguments = ["run", "--format", "json", "--pure", "--title", "graftline"]
    return arguments if assignment.session is None else [*arguments, "--session", assignment.session.id]


def _installed_plugins(folder: Path) -> dict[Path, bytes]:
    """What keeps OpenCode from installing its library for plugins, which are off, in each attempt's home."""
    lock = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}
    return {
        folder / "package-lock.json": json.dumps(lock).encode(),
        folder / "node_modules" / ".package-lock.json": b"{}",
    }
