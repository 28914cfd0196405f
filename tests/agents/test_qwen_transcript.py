"""What decides about a call of Qwen Code: its final event and its own words, and nothing a model or a tool wrote."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.backend import Assignment, Progress, Session
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.agents.qwen_transcript import QwenTranscript
from graftline.process import Ending, ProcessResult

STREAMS = Path(__file__).parent / "streams" / "qwen"
NOWHERE = Path("/nowhere")
K = OutcomeKind
QUOTED = "[API Error: 429 rate limit] invalid api key; prompt is too long; insufficient_quota"
INIT = '{"type":"system","subtype":"init","session_id":"s","model":"m","qwen_code_version":"0.24.4"}'
GOOD = '{"type":"result","subtype":"success","is_error":false,"result":"x"}'


def ended(status: int = 0, ending: Ending = Ending.EXITED, stderr: str = "") -> ProcessResult:
    return ProcessResult(status=status, ending=ending, seconds=2.0, tail=stderr, stderr_tail=stderr)


def judge(lines: list[str], result: ProcessResult, *, session: Session | None = None) -> AgentOutcome:
    assignment = Assignment("", NOWHERE, NOWHERE, facts={}, env={}, environ={}, session=session)
    transcript = QwenTranscript(assignment)
    for line in lines:
        transcript.read(line)
    return transcript.outcome(result)


def recorded(name: str) -> list[str]:
    return (STREAMS / f"{name}.jsonl").read_text().splitlines()


def said(text: str, *, tokens: int, parent: str | None = None) -> str:
    message = {"content": [{"type": "text", "text": text}], "usage": {"input_tokens": tokens, "output_tokens": tokens}}
    return json.dumps({"type": "assistant", "message": message, "parent_tool_use_id": parent})


TOOL = json.dumps(
    {"type": "user", "message": {"content": [{"type": "tool_result", "is_error": True, "content": QUOTED}]}}
)


def test_everything_the_cli_says_of_a_call_is_kept() -> None:
    totals = Usage(input_tokens=1800, output_tokens=200, cached_tokens=3600)
    assert judge(recorded("success"), ended()) == AgentOutcome(
        kind=K.OK,
        last_message="All done: hello.py added and committed.",
        usage=Usage(input_tokens=1800, output_tokens=200, cached_tokens=3600, turns=4),
        version="0.24.4",
        model="qwen3-coder-plus",
        session_id="279f1390-bc3c-4cfb-93b5-8ccc91a174f0",
        session_usage=totals,
        exit_status=0,
    )


def test_resumed_call_is_told_from_the_session_it_goes_on_with() -> None:
    session = Session("s", Usage(input_tokens=1800, output_tokens=200, cached_tokens=3600))
    outcome = judge(recorded("resume_2-0.15.10"), ended(), session=session)
    assert outcome.usage == Usage(input_tokens=2000, output_tokens=100, cached_tokens=0, turns=2)
    assert outcome.session_usage == Usage(input_tokens=3800, output_tokens=300, cached_tokens=3600)


@pytest.mark.parametrize("name", ["auth_failure", "sigterm"])
def test_call_that_counted_nothing_is_unknown_and_leaves_the_totals_of_its_session(name: str) -> None:
    session = Session("s", Usage(input_tokens=1800))
    outcome = judge(recorded(name), ended(1), session=session)
    assert (outcome.usage.input_tokens, outcome.session_usage) == (None, session.usage)
    assert judge(recorded(name), ended(1)).session_usage is None


@pytest.mark.parametrize(
    ("end", "status", "kind"),
    [
        (GOOD, 0, K.OK),
        ('{"type":"result","is_error":true,"error":{"message":"out of luck"}}', 1, K.FAILED),
        ('{"type":"result","is_error":true}', 1, K.FAILED),
        ('{"type":"result","is_error":true,"permission_denials":[{"tool_name":"x"}]}', 1, K.PERMISSION_DENIED),
        ("", 0, K.FAILED),
        ("", 1, K.FAILED),
        ("", -9, K.INTERRUPTED),
        ("", 53, K.MAX_TURNS),
    ],
)
def test_words_of_models_and_tools_decide_nothing(end: str, status: int, kind: OutcomeKind) -> None:
    lines = [INIT, said(QUOTED, tokens=0, parent="subagent"), TOOL, said(QUOTED, tokens=5), end]
    outcome = judge(lines, ended(status, stderr=f"Error executing tool run_shell_command: {QUOTED}"))
    assert outcome.kind is kind
    assert outcome.last_message == QUOTED


def test_words_of_the_cli_in_place_of_the_model_decide_although_it_says_success() -> None:
    outcome = judge([INIT, said("Half of a [API Error: 503 gone", tokens=0), GOOD], ended())
    assert (outcome.kind, outcome.detail) == (K.OVERLOADED, "[API Error: 503 gone")
    recovered = judge([INIT, said("[API Error: 503 gone]", tokens=0), said("Done.", tokens=5), GOOD], ended())
    assert (recovered.kind, recovered.last_message) == (K.OK, "Done.")


def test_call_that_never_began_is_judged_by_stderr() -> None:
    assert judge([], ended(1, stderr="Error: fetch failed")).kind is K.TRANSIENT
    assert judge([INIT], ended(1, stderr="Error: fetch failed")).kind is K.FAILED


@pytest.mark.parametrize(("ending", "kind"), [(Ending.TIMED_OUT, K.TIMED_OUT), (Ending.STALLED, K.STALLED)])
def test_call_that_we_ended_is_named_by_our_limit(ending: Ending, kind: OutcomeKind) -> None:
    assert judge(recorded("sigterm"), ended(-15, ending)).kind is kind
    aborted = [*recorded("sigterm"), '{"type":"result","is_error":true,"error":{"message":"Operation cancelled."}}']
    assert judge(aborted, ended(-15, ending)).kind is kind


def test_progress_tells_what_the_agent_says_and_does_but_not_what_its_tools_print() -> None:
    assignment = Assignment("", NOWHERE, NOWHERE, facts={}, env={}, environ={})
    transcript = QwenTranscript(assignment)
    told = [progress for line in recorded("tool_error") if (progress := transcript.read(line)) is not None]
    errors = [progress.error.splitlines()[0] for progress in told if progress.error]
    assert told[0].text == "Running a command that fails, and reading a file that is missing."
    assert [progress.text for progress in told if progress.command] == ["edit: /w/README.md"]
    assert errors[0] == "Command: echo out; echo err >&2; exit 3"
    assert told[-1] == Progress("The tools failed as expected.", said="The tools failed as expected.")


@given(
    lines=st.lists(
        st.text(max_size=40)
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        ).map(lambda value: json.dumps({"type": "assistant", "message": value}))
        | st.sampled_from(['{"type":"assistant","message":{"usage":7,"content":[{"type":"text"}]}}'])
    )
)
def test_no_line_breaks_the_reader(lines: list[str]) -> None:
    assert judge([*lines, GOOD], ended()).kind is K.OK
