"""Cursor, by its documentation: what of the repository it must not believe, and what is no success."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from graftline.agents.backend import Assignment, Session
from graftline.agents.cursor import CursorBackend
from graftline.agents.cursor_transcript import CursorTranscript
from graftline.agents.outcome import OutcomeKind
from graftline.agents.profiles import CursorProfile
from graftline.errors import UserError
from graftline.process import Ending, ProcessResult

BACKEND = CursorBackend(CursorProfile(api_key=SecretStr("k")))


@pytest.mark.parametrize("name", [".cursor/hooks.json", ".cursor/mcp.json"])
def test_repository_with_hooks_or_servers_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / ".cursor").mkdir()
    (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=f"the repository holds {name}: cursor-agent would run commands from it"):
        BACKEND.invocation(Assignment("p", tmp_path, tmp_path / "a", facts={}, env={}, environ={}))


def test_session_goes_on_by_its_id(tmp_path: Path) -> None:
    session = Session("-chat")
    given = Assignment("p", tmp_path, tmp_path / "a", facts={}, env={}, environ={}, session=session)
    assert BACKEND.invocation(given).argv[-1] == "--resume=-chat"


async def test_probe_misses_the_key(tmp_path: Path) -> None:
    (tmp_path / "cursor-agent").write_text("#!/bin/sh\necho 2026.01.23\n")
    (tmp_path / "cursor-agent").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert (await BACKEND.probe(environ)).problems == ()
    without = await CursorBackend(CursorProfile()).probe(environ)
    assert without.problems == ("no credentials: set CURSOR_API_KEY, or `api_key` of the profile",)


@pytest.mark.parametrize(
    ("status", "stderr", "kind"),
    [
        (0, "You are over your quota, says the model", OutcomeKind.FAILED),  # it may exit 0 without a final event
        (1, "Error: Invalid API key", OutcomeKind.AUTH),
        (1, "429 Too Many Requests", OutcomeKind.RATE_LIMITED),
        (143, "", OutcomeKind.INTERRUPTED),
    ],
)
@pytest.mark.parametrize(
    "said", ["429 rate limit", "invalid api key", "prompt is too long"], ids=["rate limit", "key", "context"]
)
def test_without_its_final_event_stderr_and_status_decide(
    status: int, stderr: str, kind: OutcomeKind, said: str
) -> None:
    transcript = CursorTranscript()
    transcript.read(f'{{"type":"assistant","message":{{"content":[{{"type":"text","text":"{said}"}}]}}}}')
    result = ProcessResult(status=status, ending=Ending.EXITED, seconds=1.0, tail=said, stderr_tail=stderr)
    assert transcript.outcome(result).kind is kind


def test_tool_calls_are_progress() -> None:
    line = '{"type":"tool_call","subtype":"started","tool_call":{"shellToolCall":{"args":{"command":"make"}}}}'
    progress = CursorTranscript().read(line)
    assert progress is not None
    assert (progress.text, progress.command) == ("shell: make", 'shell {"command": "make"}')
