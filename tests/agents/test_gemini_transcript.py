"""What decides about a call of the Gemini CLI: the final event, and nothing a tool or a model said."""

import json

import pytest

from graftline.agents.gemini_transcript import GeminiTranscript
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.process import Ending, ProcessResult

K = OutcomeKind
LOOP = '{"type":"error","severity":"warning","message":"Loop detected, stopping execution"}'
INIT = '{"type":"init","session_id":"s","model":"auto"}'


def ended(status: int = 0, ending: Ending = Ending.EXITED, stderr: str = "") -> ProcessResult:
    return ProcessResult(status=status, ending=ending, seconds=2.0, tail=stderr, stderr_tail=stderr)


def judge(lines: list[str], result: ProcessResult) -> AgentOutcome:
    transcript = GeminiTranscript()
    for line in lines:
        transcript.read(line)
    return transcript.outcome(result)


def event(**fields: object) -> str:
    return json.dumps(fields)


def said(text: str) -> str:
    return event(type="message", role="assistant", content=text, delta=True)


def tool(text: str) -> str:
    return event(type="tool_result", status="error", output=text, error={"type": "shell", "message": text})


def final(**fields: object) -> str:
    return event(**{"type": "result", "status": "success", **fields})


def refused(message: str, kind: str = "unknown") -> str:
    return final(status="error", error={"type": kind, "message": message})


ALARMING = [
    "429 Too Many Requests: rate limit",
    "invalid api key (401)",
    "prompt is too long",
    "Your credit balance is too low",
    "503 UNAVAILABLE: overloaded",
    "Reached max session turns",
]


@pytest.mark.parametrize("text", ALARMING)
def test_text_of_tools_and_models_never_changes_the_class(text: str) -> None:
    talk = [INIT, event(type="message", role="user", content=text), said(text), tool(text)]
    assert judge([*talk, said(text), final()], ended(stderr=text)).kind is K.OK
    assert judge(talk, ended(1, stderr=f"Error executing tool run_shell_command: {text}")).kind is K.FAILED
    assert judge([*talk, refused(f"Error executing tool write_file: {text}")], ended(54)).kind is K.FAILED


@pytest.mark.parametrize(
    ("lines", "status", "kind"),
    [
        ([INIT, refused("Operation cancelled.", "FatalCancellationError")], 130, K.INTERRUPTED),
        ([INIT, refused("Please log in", "FatalAuthenticationError")], 41, K.AUTH),
        ([INIT, refused("[API Error: no words of ours]")], 403 & 0xFF, K.AUTH),
        ([INIT, refused("[API Error: no words of ours]")], 429 & 0xFF, K.RATE_LIMITED),
        ([INIT, refused("[API Error: no words of ours]")], 1, K.FAILED),
        # Google calls its limits per minute a quota too.
        ([INIT, refused("[API Error: You exceeded your current quota\nPlease retry in 33.4s.]")], 173, K.RATE_LIMITED),
        ([INIT, refused("[API Error: You exceeded your current quota]")], 173, K.BILLING),
        ([INIT, final(status="error")], 0, K.FAILED),
        ([INIT, final()], 0, K.CONTEXT_EXHAUSTED),
        ([INIT, said("on it"), LOOP, final()], 0, K.FAILED),
        ([INIT], 0, K.INTERRUPTED),
        ([INIT], -9, K.INTERRUPTED),
        ([INIT], 1, K.FAILED),
        ([], 41, K.AUTH),
        ([], 52, K.CONFIG),
        ([], 42, K.FAILED),
        ([], 0, K.FAILED),
    ],
)
def test_call_that_did_not_succeed_is_told_by_what_the_cli_says_of_itself(
    lines: list[str], status: int, kind: OutcomeKind
) -> None:
    outcome = judge(lines, ended(status))
    assert outcome.kind is kind
    assert outcome.detail


def test_success_beside_an_error_it_never_got_over_is_none() -> None:
    trouble = event(type="error", severity="error", message="Model stream ended without a finish reason.")
    assert judge([INIT, said("half"), trouble, final()], ended()).kind is K.TRANSIENT
    assert judge([INIT, trouble, said("All of it."), final()], ended()).kind is K.OK


@pytest.mark.parametrize(
    ("ending", "kind"), [(Ending.TIMED_OUT, K.TIMED_OUT), (Ending.STALLED, K.STALLED)], ids=["timed out", "stalled"]
)
def test_call_that_we_ended_is_named_by_our_limit(ending: Ending, kind: OutcomeKind) -> None:
    cancelled = refused("Operation cancelled.", "FatalCancellationError")
    assert judge([INIT, said("working")], ended(0, ending)).kind is kind
    assert judge([INIT, cancelled], ended(130, ending)).kind is kind
    assert judge([INIT, said("Done."), final()], ended(-9, ending)).kind is K.OK


def test_message_that_comes_in_pieces_is_told_once_and_whole() -> None:
    transcript = GeminiTranscript()
    lines = [
        INIT,
        said("STATUS: wri"),
        said("ting\nmore"),
        event(type="tool_use", tool_name="run_shell_command", tool_id="1", parameters={"command": "ls", "a": 1}),
        tool("no such file"),
        event(type="tool_use", tool_name="replace", tool_id="2", parameters={"file_path": "a.py"}),
        event(type="tool_result", tool_id="2", status="success", output="secret"),
        said("NO-CHANGE: it "),
        said("is there"),
        final(),
    ]
    told = [progress for line in lines if (progress := transcript.read(line)) is not None]
    assert [(each.text, each.said, each.command, each.error) for each in told] == [
        ("STATUS: writing more", "STATUS: writing\nmore", 'run_shell_command {"a": 1, "command": "ls"}', ""),
        ("", "", "", "no such file"),
        ("replace: a.py", "", 'replace {"file_path": "a.py"}', ""),
        ("NO-CHANGE: it is there", "NO-CHANGE: it is there", "", ""),
    ]
    assert transcript.outcome(ended()).declared_no_change == "it is there"


def test_thoughts_count_as_output_and_the_busiest_model_is_named() -> None:
    models = {"flash": {"total_tokens": 100}, "pro": {"total_tokens": 400}}
    stats = {"total_tokens": 500, "input_tokens": 300, "cached": 100, "output_tokens": 50, "models": models}
    outcome = judge([INIT, said("Done."), final(stats=stats)], ended())
    assert (outcome.model, outcome.usage) == ("pro", Usage(input_tokens=200, output_tokens=200, cached_tokens=100))


@pytest.mark.parametrize("stats", [None, [], {"input_tokens": -1}, {"total_tokens": "many"}, {"output_tokens": 1e99}])
def test_absurd_account_is_unknown_and_hides_no_verdict(stats: object) -> None:
    outcome = judge([INIT, said("Done."), final(stats=stats)], ended())
    assert (outcome.kind, outcome.usage, outcome.model) == (K.OK, Usage(), "auto")


@pytest.mark.parametrize(
    "line",
    [
        '{"type": ["result"]}',
        '{"type": "result"}',
        '{"type": "result", "status": 1}',
        '{"type": "message", "role": "assistant", "content": {}}',
        '{"type": "tool_use", "tool_name": 7}',
        '{"type": "tool_result", "error": "text"}',
        '{"type": "error", "severity": "warning", "message": "A hook says no"}',
    ],
)
def test_broken_lines_are_skipped(line: str) -> None:
    whole = [INIT, said("Done."), final()]
    assert judge([whole[0], line, whole[1], line, whole[2], line], ended()) == judge(whole, ended())
