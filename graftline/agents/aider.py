"""Aider, headless (verified with 0.86.2). It is no agent with tools: the model is asked once, and answers with edits.

The files a task may write are in the chat from the start; others are added when prompt or answer name them. aider has
no machine-readable output, but a log of events, which goes to stdout among its words: the events decide.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from graftline.agents.aider_transcript import AiderTranscript
from graftline.agents.backend import Assignment, Capabilities, Invocation, Probe
from graftline.agents.environment import agent_environment, named_variables
from graftline.agents.profiles import AiderProfile
from graftline.agents.project_files import refuse_project_files
from graftline.agents.provider import host_of
from graftline.agents.version import find_program, probe_cli

TESTED = ("0.86.2",)
# Options for aider, which it reads last and so believes first: commands to run, addresses, headers.
BELIEVED = (".aider.conf.yml", ".aider.model.settings.yml", ".aider.model.metadata.json")
FLAGS = (
    *("--message-file", "/dev/stdin", "--yes-always"),
    # The log of events is written, and nothing is sent.
    *("--analytics-disable", "--analytics-log", "/dev/stdout"),
    *("--no-stream", "--no-pretty", "--no-fancy-input", "--no-gitignore", "--input-history-file", "/dev/null"),
    *("--no-check-update", "--no-show-release-notes", "--no-show-model-warnings"),
    # Commits are made for it; its own would cost a request each, for the message.
    *("--no-auto-commits", "--no-dirty-commits"),
    # Linters and commands that a model suggests are code of the repository, run without asking.
    *("--no-auto-lint", "--no-auto-test", "--no-suggest-shell-commands", "--no-detect-urls"),
)
HOSTS = {
    "ANTHROPIC": "api.anthropic.com",
    "DEEPSEEK": "api.deepseek.com",
    "GEMINI": "generativelanguage.googleapis.com",
    "GROQ": "api.groq.com",
    "MISTRAL": "api.mistral.ai",
    "OLLAMA": "localhost:11434",
    "OPENAI": "api.openai.com",
    "OPENROUTER": "openrouter.ai",
    "XAI": "api.x.ai",
}
"""Providers, by what their models' names begin with: aider gets `NAME_API_KEY` and `NAME_API_BASE` of the model's."""
KEYLESS = ("OLLAMA",)


class AiderBackend:
    """Runs `aider` once, with the prompt on stdin."""

    type = "aider"
    call_cost_usd: float | None = None
    capabilities = Capabilities(resumes=True, reports_cost=True)

    def __init__(self, profile: AiderProfile) -> None:
        self.profile = profile

    def provider(self, environ: Mapping[str, str]) -> str:
        """The host of the API, by address or by the model's name; empty where neither tells."""
        if self.profile.base_url:
            return host_of(self.profile.base_url, "")
        variables = self._variables(environ)
        known = [name for name in self._providers() if f"{name}_API_KEY" in variables or name in KEYLESS]
        if len(known) != 1:
            return ""
        return host_of(variables.get(f"{known[0]}_API_BASE", ""), HOSTS[known[0]])

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find the CLI, ask it for its version and look for credentials; nothing is sent to the provider."""
        install = "install aider (python -m pip install aider-chat, in an environment of its own)"
        probe = await probe_cli(self.type, self.profile.binary, environ, tested=TESTED, install=install)
        if access := self._credential(environ):
            return replace(probe, access=access)
        problem = (
            "no credentials: set the variable of the model's provider (such as OPENAI_API_KEY), or `api_key` of the "
            "profile"
        )
        return replace(probe, problems=(*probe.problems, problem))

    def invocation(self, assignment: Assignment) -> Invocation:
        """The verified command line; the profile's key and address go by a file, the prompt by stdin.

        Raises:
            UserError: the repository holds options for aider.
        """
        refuse_project_files(assignment.worktree, BELIEVED, cli="aider")
        settings = (assignment.temporary or assignment.home) / "aider-model-settings.yml"
        # Who is told by this name and the session's id only, and never by the model, wrote the events.
        account = {"uuid": session_of(assignment), "permanently_disable": True, "asked_opt_in": True}
        return Invocation(
            argv=(find_program(self.profile.binary, assignment.environ), *self._arguments(assignment, settings)),
            env=self._environment(assignment),
            stdin=_message(assignment.prompt).encode(errors="replace"),
            files={
                settings: json.dumps([{"name": "aider/extra_params", "extra_params": self._parameters()}]).encode(),
                assignment.home / ".aider" / "analytics.json": json.dumps(account).encode(),
            },
        )

    def transcript(self, assignment: Assignment) -> AiderTranscript:
        """A reader of aider's words and events."""
        return AiderTranscript(session_of(assignment))

    def _arguments(self, assignment: Assignment, settings: Path) -> list[str]:
        profile = self.profile
        arguments = [*FLAGS, "--chat-history-file", str(assignment.home / "aider.chat.md")]
        arguments += ["--model-settings-file", str(settings)]
        if profile.model:
            # The weak model sums up a long chat; aider's choice of one may need another key.
            arguments += ["--model", profile.model, "--weak-model", profile.model]
        if profile.edit_format:
            arguments += ["--edit-format", profile.edit_format]
        if assignment.session is not None:
            arguments.append("--restore-chat-history")
        return arguments + [f"--file={path}" for path in files_to_write(assignment)]

    def _environment(self, assignment: Assignment) -> dict[str, str]:
        return agent_environment(
            assignment,
            self.profile,
            pinned={
                **self._variables(assignment.environ),
                # It believes the repository's .env before its own environment: key, address, any option.
                "PYTHON_DOTENV_DISABLED": "1",
                # Its words and its events must come in the order they were written.
                "PYTHONUNBUFFERED": "1",
                # What a task sets for its commands is not for aider itself to load, and aider runs no commands.
                "PYTHONPATH": "",
                # It asks for prices itself; its library need not ask for the same ones again.
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            },
        )

    def _parameters(self) -> dict[str, str]:
        """What goes with every request, whichever provider the model belongs to."""
        profile = self.profile
        return {
            **({"api_base": profile.base_url} if profile.base_url else {}),
            **({"api_key": profile.api_key.get_secret_value()} if profile.api_key is not None else {}),
        }

    def _providers(self) -> tuple[str, ...]:
        """The providers that the model may belong to: one, when its name says so."""
        prefix = self.profile.model.partition("/")[0].upper().removesuffix("_CHAT")
        return (prefix,) if prefix in HOSTS else tuple(HOSTS)

    def _variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What of the environment, and of the profile's own, gives access to those providers."""
        inherited = {**environ, **self.profile.env}
        parts = ("API_BASE",) if self.profile.api_key is not None else ("API_KEY", "API_BASE")
        names = [f"{name}_{part}" for name in self._providers() for part in parts]
        return {name: value for name, value in named_variables(inherited, names).items() if value}

    def _credential(self, environ: Mapping[str, str]) -> str:
        """What gives access, by name; empty where there is nothing that could."""
        if self.profile.api_key is not None:
            return "api_key"
        if self._providers() == KEYLESS:
            return "no key, as for any model of Ollama's"
        return next(iter({**self._variables(environ), **named_variables(environ, self.profile.pass_env)}), "")


def session_of(assignment: Assignment) -> str:
    """The id of the conversation that a call begins or goes on with."""
    return assignment.session.id if assignment.session is not None else assignment.session_id


def files_to_write(assignment: Assignment) -> list[str]:
    """The files a task may write that there are: those that it names one by one, within the worktree."""
    worktree = assignment.worktree.resolve()
    names = assignment.facts.get("GRAFTLINE_TASK_WRITES", "").split()
    found = [name for name in names if (worktree / name).is_file()]
    return [name for name in found if (worktree / name).resolve().is_relative_to(worktree)]


def _message(prompt: str) -> str:
    """The prompt as a message: one that began with a slash or an exclamation mark would be a command to aider."""
    return f"\n{prompt}" if prompt.startswith(("/", "!")) else prompt
