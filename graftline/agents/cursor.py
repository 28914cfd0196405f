"""The Cursor CLI, headless: built from Cursor's documentation and never run with the real CLI.

It cannot be had from a package registry, nor be pointed at another API, so nobody here could try it. What is not
documented is guessed on the safe side: without its final event a call has failed.
"""

from collections.abc import Mapping
from dataclasses import replace

from graftline.agents.backend import Assignment, Capabilities, Invocation, Probe
from graftline.agents.cursor_transcript import CursorTranscript
from graftline.agents.environment import agent_environment
from graftline.agents.profiles import CursorProfile
from graftline.agents.project_files import refuse_project_files
from graftline.agents.version import find_program, probe_cli

HOST = "api2.cursor.sh"
KEY = "CURSOR_API_KEY"
# Commands and servers that a trusted folder may start.
BELIEVED = (".cursor/hooks.json", ".cursor/mcp.json")


class CursorBackend:
    """Runs `cursor-agent -p` with the prompt on stdin; built from documentation, never run."""

    type = "cursor"
    call_cost_usd: float | None = None
    capabilities = Capabilities(resumes=True)

    def __init__(self, profile: CursorProfile) -> None:
        self.profile = profile

    def provider(self, environ: Mapping[str, str]) -> str:
        """Cursor's own API, whoever made the model."""
        del environ
        return HOST

    async def probe(self, environ: Mapping[str, str]) -> Probe:
        """Find the CLI, ask it for its version and look for the key; nothing is sent to the provider."""
        install = "install the Cursor CLI (https://cursor.com/cli)"
        probe = await probe_cli(self.type, self.profile.binary, environ, tested=(), install=install)
        problem = () if self._access(environ) else (f"no credentials: set {KEY}, or `api_key` of the profile",)
        note = (
            f"version {probe.version} is untested, as any: this backend was built from Cursor's documentation and was "
            "never run with the real CLI"
        )
        return replace(
            probe,
            problems=(*probe.problems, *problem),
            notes=(note,) if probe.version else (),
            is_tested=False,
            access="" if problem else KEY,
        )

    def invocation(self, assignment: Assignment) -> Invocation:
        """The documented command line; the key goes by environment, the prompt by stdin.

        Raises:
            UserError: the repository holds hooks or servers.
        """
        refuse_project_files(assignment.worktree, BELIEVED, cli="cursor-agent")
        return Invocation(
            argv=(find_program(self.profile.binary, assignment.environ), *self._arguments(assignment)),
            env=agent_environment(assignment, self.profile, pinned=self._access(assignment.environ)),
            stdin=assignment.prompt.encode(errors="replace"),
        )

    def transcript(self, assignment: Assignment) -> CursorTranscript:
        """A reader of stream-json events."""
        del assignment  # one call's output is like any other's
        return CursorTranscript()

    def _arguments(self, assignment: Assignment) -> list[str]:
        arguments = ["-p", "--force", "--trust", "--output-format", "stream-json"]
        if self.profile.model:
            arguments += ["--model", self.profile.model]
        if assignment.session is not None:
            arguments.append(f"--resume={assignment.session.id}")
        return arguments

    def _access(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The key, if there is one."""
        given = self.profile.api_key
        key = given.get_secret_value() if given is not None else self.profile.env.get(KEY) or environ.get(KEY)
        return {KEY: key} if key else {}
