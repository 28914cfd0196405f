"""The Gemini CLI, headless, in a worktree of its own (flags verified with 0.61.0).

Nothing that the repository holds is executed or believed: the CLI reads its settings, and with them hooks and MCP
servers, while it takes the worktree for untrusted, and trusts it, for tools and GEMINI.md, only later.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from graftline.agents.backend import Assignment, Capabilities, Invocation, Probe
from graftline.agents.environment import agent_environment, named_variables
from graftline.agents.gemini_transcript import GeminiTranscript
from graftline.agents.profiles import GeminiProfile
from graftline.agents.provider import host_of
from graftline.agents.version import find_program, probe_cli

TESTED = ("0.61.0",)
# The CLI's own 10 tries take four minutes.
MAX_ATTEMPTS = 5
ACCESS = (
    *("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    *("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_VERTEX_BASE_URL"),
    *("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"),
)
PINNED = {
    # Otherwise a second process waits for the one that works, and keeps signals from it.
    "GEMINI_CLI_NO_RELAUNCH": "true",
    # Counts until `--skip-trust` is read, which is after the repository's settings and .env files would have been.
    "GEMINI_CLI_TRUST_WORKSPACE": "false",
}


class GeminiBackend:
    """Runs `gemini` with the prompt on stdin."""

    type = "gemini"
    call_cost_usd: float | None = None
    capabilities = Capabilities(resumes=True)

    def __init__(self, profile: GeminiProfile) -> None:
        self.profile = profile

    def provider(self, environ: Mapping[str, str]) -> str:
        """The host of the API: Gemini's own, or Vertex AI's."""
        access = self._access(environ)
        if _is_vertex(access):
            return host_of(access["GOOGLE_VERTEX_BASE_URL"], "aiplatform.googleapis.com")
        return host_of(access["GOOGLE_GEMINI_BASE_URL"], "generativelanguage.googleapis.com")

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find the CLI, ask it for its version and look for credentials; nothing is sent to the provider."""
        install = "install the Gemini CLI (npm install -g @google/gemini-cli)"
        probe = await probe_cli(
            self.type, self.profile.binary, environ, tested=TESTED, install=install, variables=PINNED
        )
        access = self._access(environ)
        if _is_vertex(access):
            return replace(probe, access="Vertex AI")
        if access["GEMINI_API_KEY"]:
            return replace(probe, access="GEMINI_API_KEY" if self.profile.api_key is None else "api_key of the profile")
        problem = (
            "no credentials: set GEMINI_API_KEY, or `api_key` of the profile, or the variables of Vertex AI; "
            "a login of your own is not used"
        )
        return replace(probe, problems=(*probe.problems, problem))

    def invocation(self, assignment: Assignment) -> Invocation:
        """The verified command line; credentials by environment, the prompt by stdin, the rest in a settings file."""
        access = self._access(assignment.environ)
        return Invocation(
            argv=(find_program(self.profile.binary, assignment.environ), *self._arguments(assignment)),
            env=agent_environment(
                assignment, self.profile, pinned={**access, **PINNED, "GEMINI_CLI_HOME": str(assignment.home)}
            ),
            stdin=assignment.prompt.encode(errors="replace"),
            files={assignment.home / ".gemini" / "settings.json": self._settings(is_vertex=_is_vertex(access))},
        )

    def transcript(self, assignment: Assignment) -> GeminiTranscript:
        """A reader of stream-json events."""
        del assignment  # one call's output is like any other's
        return GeminiTranscript()

    def _arguments(self, assignment: Assignment) -> list[str]:
        # An empty prompt beside the one on stdin, to which it is appended, tells the CLI that nobody is there to talk.
        arguments = ["-p", "", "--output-format", "stream-json", "--approval-mode", "yolo", "--skip-trust"]
        if self.profile.model:
            arguments += ["--model", self.profile.model]
        if assignment.session is not None:
            arguments += ["--resume", assignment.session.id]
        elif assignment.session_id:
            arguments += ["--session-id", assignment.session_id]
        return arguments

    def _settings(self, *, is_vertex: bool) -> bytes:
        limit = {} if self.profile.max_turns is None else {"model": {"maxSessionTurns": self.profile.max_turns}}
        settings = {
            # Beside a base URL the CLI does not guess the type. It is not to check the credentials it has: for that it
            # takes every variable from .env files that is not set yet, those of the repository too.
            "security": {"auth": {"selectedType": "vertex-ai" if is_vertex else "gemini-api-key", "useExternal": True}},
            "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False, "maxAttempts": MAX_ATTEMPTS},
            **limit,
        }
        return json.dumps(settings, indent=2).encode()

    def _access(self, environ: Mapping[str, str]) -> dict[str, str]:
        """How the CLI reaches its model; what is not set is set to nothing, lest a .env file should fill it in."""
        profile = self.profile
        stated = {name: value for name, value in profile.env.items() if name in ACCESS}
        access = {**dict.fromkeys(ACCESS, ""), **named_variables(environ, ACCESS), **stated}
        key, other, address = "GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"
        if _is_vertex(access):
            key, other, address = other, key, "GOOGLE_VERTEX_BASE_URL"
        if profile.api_key is not None:
            access |= {key: profile.api_key.get_secret_value(), other: ""}
        if profile.base_url:
            access[address] = profile.base_url
        return {**access, **stated}


def _is_vertex(access: Mapping[str, str]) -> bool:
    return access["GOOGLE_GENAI_USE_VERTEXAI"] == "true"
