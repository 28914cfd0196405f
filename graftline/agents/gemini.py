"""The Gemini CLI, headless, in a worktree of its own (flags verified with 0.61.0).

Nothing that the repository holds is executed or believed but its GEMINI.md: the CLI reads its settings, and with them
hooks and MCP servers, and `.env` files while it takes the worktree for untrusted, and trusts it for its tools later on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

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
LOGIN_FILES = ("oauth_creds.json", "gemini-credentials.json")


@dataclass(frozen=True)
class _Access:
    """How the CLI reaches its model: by variables, or by the person's own login when `login_home` is set."""

    variables: dict[str, str]
    login_home: dict[str, str]

    @property
    def is_vertex(self) -> bool:
        return self.variables["GOOGLE_GENAI_USE_VERTEXAI"] == "true"


class GeminiBackend:
    """Runs `gemini` with the prompt on stdin."""

    type = "gemini"
    call_cost_usd: float | None = None
    capabilities = Capabilities(resumes=True)

    def __init__(self, profile: GeminiProfile) -> None:
        self.profile = profile

    def provider(self, environ: Mapping[str, str]) -> str:
        """The host of the API: Gemini's own, Vertex AI's, or the one that a login goes to."""
        access = self._access(environ)
        if access.is_vertex:
            return host_of(access.variables["GOOGLE_VERTEX_BASE_URL"], "aiplatform.googleapis.com")
        default = "cloudcode-pa.googleapis.com" if access.login_home else "generativelanguage.googleapis.com"
        return host_of(access.variables["GOOGLE_GEMINI_BASE_URL"], default)

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find the CLI, ask it for its version and look for credentials; nothing is sent to the provider."""
        install = "install the Gemini CLI (npm install -g @google/gemini-cli)"
        probe = await probe_cli(
            self.type, self.profile.binary, environ, tested=TESTED, install=install, variables=PINNED
        )
        login_home = self._access(environ).login_home
        login = _login_file(login_home)
        problems, notes = [*probe.problems], [*probe.notes]
        if login_home and login is None:
            problems.append(
                "no credentials: set GEMINI_API_KEY, or `api_key` of the profile, or run `gemini` and log in"
            )
        elif login is not None:
            notes.append(f"no API key is set: agents use your own login and user settings ({login.parent})")
            if self.profile.max_turns is not None:
                problems.append(
                    "`max_turns` needs an API key: with your own login the CLI reads your own settings, "
                    f"where it is `model.maxSessionTurns` ({login.parent / 'settings.json'})"
                )
        access = f"login in {login.parent}" if login is not None else "" if login_home else "API key"
        return replace(probe, problems=tuple(problems), notes=tuple(notes), access=access)

    def invocation(self, assignment: Assignment) -> Invocation:
        """The verified command line; credentials by environment, the prompt by stdin, the rest in a settings file."""
        access = self._access(assignment.environ)
        place = access.login_home or {"GEMINI_CLI_HOME": str(assignment.home)}
        folder = _cli_folder(place)
        return Invocation(
            argv=(find_program(self.profile.binary, assignment.environ), *self._arguments(assignment, folder)),
            env=agent_environment(assignment, self.profile, pinned={**access.variables, **place, **PINNED}),
            stdin=assignment.prompt.encode(errors="replace"),
            files={} if access.login_home else {folder / "settings.json": self._settings(is_vertex=access.is_vertex)},
        )

    def transcript(self, assignment: Assignment) -> GeminiTranscript:
        """A reader of stream-json events."""
        del assignment  # one call's output is like any other's
        return GeminiTranscript()

    def _arguments(self, assignment: Assignment, folder: Path) -> list[str]:
        # An empty prompt beside the one on stdin, to which it is appended, tells the CLI that nobody is there to talk.
        arguments = ["-p", "", "--output-format", "stream-json", "--approval-mode", "yolo", "--skip-trust"]
        if self.profile.model:
            arguments += ["--model", self.profile.model]
        if assignment.session is not None:
            record = find_record(folder, assignment.session.id)
            # Without one the CLI is to say so, rather than to begin again in silence.
            arguments += ["--session-file", str(record)] if record else ["--resume", assignment.session.id]
        elif assignment.session_id:
            arguments += ["--session-id", assignment.session_id]
        return arguments

    def _settings(self, *, is_vertex: bool) -> bytes:
        limit = {} if self.profile.max_turns is None else {"model": {"maxSessionTurns": self.profile.max_turns}}
        settings = {
            # Beside a base URL the CLI does not guess it.
            "security": {"auth": {"selectedType": "vertex-ai" if is_vertex else "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False, "maxAttempts": MAX_ATTEMPTS},
            **limit,
        }
        return json.dumps(settings, indent=2).encode()

    def _access(self, environ: Mapping[str, str]) -> _Access:
        profile = self.profile
        # What is not set is set to nothing: the CLI fills gaps from .env files, those of the repository too.
        variables = {
            **dict.fromkeys(ACCESS, ""),
            **named_variables(environ, ACCESS),
            **{name: value for name, value in profile.env.items() if name in ACCESS},
        }
        is_vertex = variables["GOOGLE_GENAI_USE_VERTEXAI"] == "true"
        if profile.api_key is not None:
            ours, other = "GEMINI_API_KEY", "GOOGLE_API_KEY"
            if is_vertex:
                ours, other = other, ours
            variables |= {ours: profile.api_key.get_secret_value(), other: ""}
        if profile.base_url:
            variables["GOOGLE_VERTEX_BASE_URL" if is_vertex else "GOOGLE_GEMINI_BASE_URL"] = profile.base_url
        if variables["GEMINI_API_KEY"] or is_vertex:
            return _Access(variables, login_home={})
        return _Access(variables, login_home=named_variables(environ, ("HOME", "GEMINI_CLI_HOME")))


def find_record(folder: Path, session_id: str) -> Path | None:
    """The record of a session in the CLI's folder.

    By its id the CLI finds a session only in the working folder where it was held; another attempt works in another.
    """
    end = f"-{session_id[:8]}.jsonl"
    found = [path for path in folder.glob("tmp/*/chats/session-*.jsonl") if path.name.endswith(end) and path.is_file()]
    # Beside the record of a session that went on with an earlier one lies a second one, which stays as good as empty.
    return max(found, key=lambda path: path.stat().st_size, default=None)


def _cli_folder(place: Mapping[str, str]) -> Path:
    """Where the CLI keeps everything: below GEMINI_CLI_HOME, or HOME."""
    return Path(place.get("GEMINI_CLI_HOME") or place.get("HOME") or "/nonexistent") / ".gemini"


def _login_file(login_home: Mapping[str, str]) -> Path | None:
    """The file that shows a login of the person."""
    return next((path for name in LOGIN_FILES if (path := _cli_folder(login_home) / name).is_file()), None)
