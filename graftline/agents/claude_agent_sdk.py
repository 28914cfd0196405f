"""The Claude Agent SDK, one call in a child process of its own (verified with 0.2.186).

It brings its own Claude Code CLI, so that Python is all it needs. What holds for `claude-code` holds here: credentials
by environment, nothing of the repository is executed or believed, and the same events decide.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from graftline.agents.backend import Assignment, Capabilities, Invocation, Probe
from graftline.agents.claude_access import claude_environment, claude_provider, with_access
from graftline.agents.claude_transcript import ClaudeTranscript
from graftline.agents.guide import read_guide
from graftline.agents.profiles import ClaudeAgentSdkProfile
from graftline.agents.version import ask_version, find_program, untested

TESTED = ("0.2.186",)
PROGRAM = Path(__file__).with_name("claude_agent_sdk_call.py")


class ClaudeAgentSdkBackend:
    """Runs the SDK in a Python of its own, with the prompt on stdin."""

    type = "claude-agent-sdk"
    call_cost_usd: float | None = None
    capabilities = Capabilities(resumes=True, enforces_budget=True, reports_cost=True)

    def __init__(self, profile: ClaudeAgentSdkProfile, *, python: str = sys.executable) -> None:
        self.profile = profile
        # Whatever a task sets for the commands of its agent (PYTHONPATH), it is not what this program loads.
        self._command = (python, "-E", "-P", str(PROGRAM))

    def provider(self, environ: Mapping[str, str]) -> str:
        """The host of the API, or the cloud that stands in for it."""
        return claude_provider(self.profile, environ)

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Ask the SDK for its version, find the CLI where one is named, and look for credentials."""
        python, *program = self._command
        version, problem = await ask_version(python, environ, *program)
        problems = [problem] if problem else []
        binary = self.profile.binary
        if binary and shutil.which(binary, path=environ.get("PATH", "")) is None:
            problems.append(f"{binary!r} is not an executable file on PATH: correct `binary` or leave it out")
        notes = untested(version, TESTED)
        probe = Probe(self.type, python, version, tuple(problems), notes, is_tested=bool(version) and not notes)
        return with_access(probe, self.profile, environ)

    def invocation(self, assignment: Assignment) -> Invocation:
        """Our program with the SDK's options; credentials go by environment, the prompt by stdin."""
        return Invocation(
            argv=(*self._command, json.dumps(self._options(assignment))),
            env=claude_environment(assignment, self.profile),
            stdin=assignment.prompt.encode(errors="replace"),
        )

    def transcript(self, assignment: Assignment) -> ClaudeTranscript:
        """A reader of the CLI's events, which our program prints."""
        del assignment  # one call's output is like any other's
        return ClaudeTranscript()

    def _options(self, assignment: Assignment) -> dict[str, object]:
        """The fields of `ClaudeAgentOptions` that differ from their defaults."""
        profile = self.profile
        # Without it the SDK sends an empty system prompt, and the agent would not be Claude Code any more.
        system = {"type": "preset", "preset": "claude_code"}
        guide = read_guide(assignment.worktree, "CLAUDE.md")
        chosen: dict[str, object] = {
            "permission_mode": "bypassPermissions",
            # The repository's settings could run hooks and send the key elsewhere, its .mcp.json start servers.
            "setting_sources": ["user"],
            "strict_mcp_config": True,
            "system_prompt": {**system, "append": guide} if guide else system,
            "model": profile.model or None,
            "fallback_model": profile.fallback_model if profile.fallback_model != profile.model else None,
            "max_turns": profile.max_turns,
            "max_budget_usd": assignment.budget_usd,
            "resume": assignment.session.id if assignment.session is not None else None,
            "session_id": assignment.session_id if assignment.session is None else None,
            "cli_path": find_program(profile.binary, assignment.environ) if profile.binary else None,
        }
        return {name: value for name, value in chosen.items() if value not in (None, "")}
