"""The Qwen Code CLI, headless, in a worktree of its own (flags verified with 0.15.10 and 0.24.4).

Nothing that the repository holds is executed or believed: the CLI is told not to trust the worktree, and so loads none
of its settings, hooks, MCP servers and `.env` files. Its QWEN.md and AGENTS.md are handed over as text.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from graftline.agents.backend import Assignment, Capabilities, Invocation, Probe
from graftline.agents.environment import agent_environment
from graftline.agents.guide import read_guide
from graftline.agents.openai_access import BASE_URL_VARIABLE, OpenAIAccess, openai_access
from graftline.agents.profiles import QwenProfile
from graftline.agents.provider import host_of
from graftline.agents.qwen_transcript import QwenTranscript
from graftline.agents.version import find_program, probe_cli

TESTED = ("0.15.10", "0.24.4")
KEY_VARIABLE = "OPENAI_API_KEY"
MODEL_VARIABLE = "OPENAI_MODEL"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
# The CLI does not start without a key, also where a server of one's own wants none.
NO_KEY = "none"
# What asks before it acts. Skipping all questions at once is only for a worktree that is trusted.
ALLOWED_TOOLS = (
    *("run_shell_command", "write_file", "edit", "notebook_edit", "monitor"),
    *("web_fetch", "agent", "task_stop", "send_message", "skill", "todo_write"),
)
SETTINGS = {
    "security": {"folderTrust": {"enabled": True}},
    "permissions": {"allow": ALLOWED_TOOLS},
    # Its own tries within one request remain. Ten more, of up to five minutes' pause, would keep a call for an hour.
    "model": {"generationConfig": {"maxRetries": 0}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False},
}
# Otherwise a second process waits for the one that works, and keeps signals from it.
PINNED = {"QWEN_CODE_NO_RELAUNCH": "true"}


class QwenBackend:
    """Runs `qwen` with the prompt on stdin."""

    type = "qwen"
    call_cost_usd: float | None = None
    capabilities = Capabilities(resumes=True)

    def __init__(self, profile: QwenProfile) -> None:
        self.profile = profile

    def provider(self, environ: Mapping[str, str]) -> str:
        """The host of the API."""
        return host_of(self._access(environ).base_url, host_of(DEFAULT_BASE_URL, ""))

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find the CLI, ask it for its version and look for credentials; nothing is sent to the provider."""
        install = "install Qwen Code (npm install -g @qwen-code/qwen-code)"
        probe = await probe_cli(
            self.type, self.profile.binary, environ, tested=TESTED, install=install, variables=PINNED
        )
        access = self._access(environ)
        problems = [*probe.problems]
        if not access.is_possible:
            problems.append(f"no credentials: set {KEY_VARIABLE}, or `api_key` of the profile")
        if not self._model(environ):
            problems.append(f"no model: set `model` of the profile, or {MODEL_VARIABLE}")
        return replace(probe, problems=tuple(problems), access=access.description)

    def invocation(self, assignment: Assignment) -> Invocation:
        """The verified command line; credentials by environment, the prompt by stdin, the rest in files."""
        access = self._access(assignment.environ)
        home = assignment.home / ".qwen"
        pinned = {
            "QWEN_HOME": str(home),
            KEY_VARIABLE: access.key or NO_KEY,
            BASE_URL_VARIABLE: access.base_url or DEFAULT_BASE_URL,
            "QWEN_CODE_TRUSTED_FOLDERS_PATH": str(home / "trustedFolders.json"),
            **PINNED,
        }
        return Invocation(
            argv=(find_program(self.profile.binary, assignment.environ), *self._arguments(assignment)),
            env=agent_environment(assignment, self.profile, pinned=pinned),
            stdin=assignment.prompt.encode(errors="replace"),
            files={
                home / "settings.json": _json(SETTINGS),
                # Up to 0.15 a folder that nobody has judged is trusted.
                home / "trustedFolders.json": _json({str(assignment.worktree.resolve()): "DO_NOT_TRUST"}),
            },
        )

    def transcript(self, assignment: Assignment) -> QwenTranscript:
        """A reader of stream-json events."""
        return QwenTranscript(assignment)

    def _arguments(self, assignment: Assignment) -> list[str]:
        arguments = ["--output-format", "stream-json", "--approval-mode", "default", "--auth-type", "openai"]
        if model := self._model(assignment.environ):
            arguments += ["--model", model]
        if self.profile.max_turns is not None:
            arguments += ["--max-session-turns", str(self.profile.max_turns)]
        if assignment.session is not None:
            arguments += ["--resume", assignment.session.id]
        elif assignment.session_id:
            arguments += ["--session-id", assignment.session_id]
        if guide := read_guide(assignment.worktree, "QWEN.md", "AGENTS.md"):
            arguments += ["--append-system-prompt", guide]
        return arguments

    def _model(self, environ: Mapping[str, str]) -> str:
        return self.profile.env.get(MODEL_VARIABLE) or self.profile.model or environ.get(MODEL_VARIABLE, "")

    def _access(self, environ: Mapping[str, str]) -> OpenAIAccess:
        return openai_access(self.profile, environ, (KEY_VARIABLE,))


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode()
