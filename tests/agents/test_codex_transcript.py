"""What decides about a call of Codex: how its last turn ended, and nothing a model or a tool wrote."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.backend import Assignment, Progress, Session
from graftline.agents.codex_transcript import CodexTranscript
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.process import Ending, ProcessResult

STREAMS = Path(__file__).parent / "streams" / "codex"
NOWHERE = Path("/nowhere")
K = OutcomeKind
QUOTED = "429 rate limit; invalid api key; prompt is too long; unexpected status 401; insufficient_quota"


def ended(status: int = 0, ending: Ending = Ending.EXITED, stderr: str = "") -> ProcessResult:
    return ProcessResult(status=status, ending=ending, seconds=2.0, tail=stderr, stderr_tail=stderr)


def transcript(session: Session | None = None) -> CodexTranscript:
    assignment = Assignment("", NOWHERE, NOWHERE, facts={}, env={}, environ={}, session=session)
    return CodexTranscript(assignment, "gpt-5.5")


def judge(lines: list[str], result: ProcessResult, *, session: Session | None = None) -> AgentOutcome:
    reader = transcript(session)
    for line in lines:
        reader.read(line)
    return reader.outcome(result)


def recorded(name: str) -> list[str]:
    return (STREAMS / f"{name}.jsonl").read_text().splitlines()


def item(kind: str, event: str = "item.completed", **fields: object) -> str:
    return json.dumps({"type": event, "item": {"id": "item_0", "type": kind, **fields}})


START = ['{"type":"thread.started","thread_id":"t"}', '{"type":"turn.started"}']
SAID = [
    item("agent_message", text=f"The log said: {QUOTED}"),
    item("command_execution", command="make", aggregated_output=QUOTED, exit_code=1, status="failed"),
]


def test_everything_the_cli_says_of_a_call_is_kept() -> None:
    used = Usage(input_tokens=1800, output_tokens=200, cached_tokens=3600)
    assert judge(recorded("success"), ended()) == AgentOutcome(
        kind=K.OK,
        last_message="All done: hello.py added and committed.",
        answer="All done: hello.py added and committed.",
        usage=used,
        model="gpt-5.5",
        session_id="01a1f99d-8a7b-7f23-8468-a1a9f428ff81",
        session_usage=used,
        exit_status=0,
    )


def test_resumed_call_is_told_from_the_session_it_goes_on_with() -> None:
    session = Session("s", Usage(input_tokens=1800, output_tokens=200, cached_tokens=3600))
    outcome = judge(recorded("resume_2"), ended(), session=session)
    assert outcome.usage == Usage(input_tokens=2000, output_tokens=100, cached_tokens=0)
    assert outcome.session_usage == Usage(input_tokens=3800, output_tokens=300, cached_tokens=3600)


def test_call_that_told_no_totals_leaves_those_of_its_session() -> None:
    session = Session("s", Usage(input_tokens=1800))
    outcome = judge(recorded("sigterm"), ended(-15), session=session)
    assert (outcome.usage, outcome.session_usage) == (Usage(), session.usage)


@pytest.mark.parametrize(
    ("end", "status", "kind"),
    [
        ('{"type":"turn.completed"}', 0, K.OK),
        ('{"type":"turn.failed","error":{"message":"tool budget exceeded"}}', 1, K.FAILED),
        ('{"type":"turn.failed"}', 1, K.FAILED),
        ("", 0, K.FAILED),
        ("", 101, K.FAILED),
        ("", -9, K.INTERRUPTED),
    ],
)
def test_words_of_models_and_tools_decide_nothing(end: str, status: int, kind: OutcomeKind) -> None:
    outcome = judge([*START, *SAID, end], ended(status, stderr=f"ERROR codex_core::tools::router: {QUOTED}"))
    assert outcome.kind is kind
    assert (outcome.detail == "") is (kind is K.OK)


@pytest.mark.parametrize(("ending", "kind"), [(Ending.TIMED_OUT, K.TIMED_OUT), (Ending.STALLED, K.STALLED)])
def test_call_that_we_ended_is_named_by_our_limit_and_what_it_waited_for(ending: Ending, kind: OutcomeKind) -> None:
    outcome = judge(recorded("rate_limit_forever")[:4], ended(-15, ending))
    assert outcome.kind is kind
    assert "waiting for its provider: Reconnecting... 2/5 (exceeded retry limit, last status: 429" in outcome.detail


def test_call_that_kept_asking_with_a_refused_key_is_named_by_that() -> None:
    assert judge(recorded("auth_failure")[:4], ended(-15, Ending.STALLED)).kind is K.AUTH


def test_turn_that_follows_a_failed_one_decides() -> None:
    failed = '{"type":"turn.failed","error":{"message":"overloaded"}}'
    assert judge([*START, failed, START[1], '{"type":"turn.completed"}'], ended()).kind is K.OK
    assert judge([*START, failed, START[1]], ended(-15)).kind is K.INTERRUPTED


def test_progress_tells_what_the_agent_says_and_does_but_not_what_its_tools_print() -> None:
    reader = transcript()
    told = [reader.read(line) for line in recorded("tool_error")]
    command = "/bin/bash -lc 'echo out; echo err >&2; exit 3'"
    assert [progress for progress in told if progress is not None] == [
        Progress(
            "Running a command that fails, and reading a file that is missing.",
            said="Running a command that fails, and reading a file that is missing.",
        ),
        Progress(f"command_execution: {command}", command=f'command_execution {{"command": "{command}"}}'),
        Progress("", error="out\nerr\n"),
        Progress("The tools failed as expected.", said="The tools failed as expected."),
    ]


def test_calls_are_equal_when_what_they_do_is() -> None:
    def command(**fields: object) -> str:
        progress = transcript().read(item("mcp_tool_call", "item.started", server="s", tool="t", **fields))
        assert progress is not None
        return progress.command

    patch = transcript().read(item("file_change", "item.started", changes=[{"path": "a.py", "kind": "update"}]))
    assert patch == Progress("file_change: a.py")
    assert command(arguments={"a": 1, "b": 2}) == command(arguments={"b": 2, "a": 1}) != command(arguments={"a": 2})


@given(
    lines=st.lists(
        st.text(max_size=40)
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        ).map(lambda value: json.dumps({"type": "item.started", "item": value}))
        | st.sampled_from([item("x", changes=[{"path": 1}], arguments=[{}]), '{"type":"error","message":7}'])
    )
)
def test_no_line_breaks_the_reader(lines: list[str]) -> None:
    assert judge([*lines, '{"type":"turn.completed","usage":{"input_tokens":-1}}'], ended()).usage == Usage()
