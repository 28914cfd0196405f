"""The Claude Code CLI, headless, in a worktree of its own (flags verified with 2.1.197 and 2.1.329).

Nothing that the repository holds is executed or believed: its settings, hooks and MCP servers are not loaded, and its
CLAUDE.md is handed over as text.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from graftline.agents.backend import Assignment, Capabilities, Invocation, Probe
from graftline.agents.claude_access import claude_environment, claude_provider, with_access
from graftline.agents.claude_transcript import ClaudeTranscript
from graftline.agents.guide import read_guide
from graftline.agents.profiles import ClaudeCodeProfile
from graftline.agents.version import find_program, probe_cli

TESTED = ("2.1.197", "2.1.329")


class ClaudeCodeBackend:
    """Runs `claude -p` with the prompt on stdin."""

    type = "claude-code"
    call_cost_usd: float | None = None
    capabilities = Capabilities(resumes=True, enforces_budget=True, reports_cost=True, fills_forms=True)

    def __init__(self, profile: ClaudeCodeProfile) -> None:
        self.profile = profile

    def provider(self, environ: Mapping[str, str]) -> str:
        """The host of the API, or the cloud that stands in for it."""
        return claude_provider(self.profile, environ)

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find the CLI, ask it for its version and look for credentials; nothing is sent to the provider."""
        install = "install Claude Code (npm install -g @anthropic-ai/claude-code)"
        probe = await probe_cli(self.type, self.profile.binary, environ, tested=TESTED, install=install)
        return with_access(probe, self.profile, environ)

    def invocation(self, assignment: Assignment) -> Invocation:
        """The verified command line; credentials go by environment, the prompt by stdin."""
        form = assignment.form
        return Invocation(
            argv=(find_program(self.profile.binary, assignment.environ), *self._arguments(assignment)),
            env=claude_environment(assignment, self.profile),
            stdin=assignment.prompt.encode(errors="replace"),
            files={_instructions(assignment): form.instructions.encode(errors="replace")} if form else {},
        )

    def transcript(self, assignment: Assignment) -> ClaudeTranscript:
        """A reader of stream-json events."""
        del assignment  # one call's output is like any other's
        return ClaudeTranscript()

    def _arguments(self, assignment: Assignment) -> list[str]:
        profile = self.profile
        arguments = ["-p", "--output-format", "stream-json", "--verbose"]
        # The repository's settings could run hooks and send the key elsewhere, its .mcp.json start servers.
        arguments += ["--setting-sources", "user", "--strict-mcp-config"]
        if (form := assignment.form) is None:
            arguments.append("--dangerously-skip-permissions")
        else:
            # No tools but the one that takes the answer, and no prompt that is taken for a command.
            arguments += ["--tools", "", "--disable-slash-commands", "--no-session-persistence"]
            arguments += ["--json-schema", json.dumps(form.schema)]
            arguments += ["--system-prompt-file", str(_instructions(assignment))]
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


def _instructions(assignment: Assignment) -> Path:
    """Where a form's instructions lie."""
    return assignment.folder / "instructions.md"
