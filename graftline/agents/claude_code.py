"""The Claude Code CLI, headless, in a worktree of its own (flags verified with 2.1.197 and 2.1.329).

Nothing that the repository holds is executed or believed: its settings, hooks and MCP servers are not loaded, and its
CLAUDE.md is handed over as text.
"""

import shutil
from collections.abc import Mapping

from graftline.agents.backend import Assignment, Capabilities, Invocation, Probe
from graftline.agents.claude_access import claude_environment, claude_findings, claude_provider, read_guide
from graftline.agents.claude_transcript import ClaudeTranscript
from graftline.agents.profiles import ClaudeCodeProfile
from graftline.agents.version import ask_version, untested

TESTED = ("2.1.197", "2.1.329")


class ClaudeCodeBackend:
    """Runs `claude -p` with the prompt on stdin."""

    type = "claude-code"
    call_cost_usd: float | None = None
    capabilities = Capabilities(resumes=True, enforces_budget=True, reports_cost=True)

    def __init__(self, profile: ClaudeCodeProfile) -> None:
        self.profile = profile

    def provider(self, environ: Mapping[str, str]) -> str:
        """The host of the API, or the cloud that stands in for it."""
        return claude_provider(self.profile, environ)

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find the CLI, ask it for its version and look for credentials; nothing is sent to the provider."""
        binary = self.profile.binary
        found = shutil.which(binary, path=environ.get("PATH", ""))
        if found is None:
            problem = (
                f"{binary!r} is not an executable file on PATH: install Claude Code "
                "(npm install -g @anthropic-ai/claude-code) or set `binary`"
            )
            return Probe(self.type, binary, problems=(problem,))
        version, problem = await ask_version(found, environ)
        problems, notes = claude_findings(self.profile, environ)
        return Probe(
            self.type,
            found,
            version,
            (*([problem] if problem else []), *problems),
            (*untested(version, TESTED), *notes),
        )

    def invocation(self, assignment: Assignment) -> Invocation:
        """The verified command line; credentials go by environment, the prompt by stdin."""
        return Invocation(
            argv=(self._binary(assignment.environ), *self._arguments(assignment)),
            env=claude_environment(assignment, self.profile),
            stdin=assignment.prompt.encode(errors="replace"),
        )

    def transcript(self, assignment: Assignment) -> ClaudeTranscript:
        """A reader of stream-json events."""
        del assignment  # one call's output is like any other's
        return ClaudeTranscript()

    def _binary(self, environ: Mapping[str, str]) -> str:
        # Looked up in our PATH: a task may set another one for what the agent itself starts.
        return shutil.which(self.profile.binary, path=environ.get("PATH", "")) or self.profile.binary

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
        if guide := read_guide(assignment.worktree):
            arguments += ["--append-system-prompt", guide]
        return arguments
