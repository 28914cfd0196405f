"""What decides about a call of Claude Code: the final event, and nothing a tool printed."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.claude_transcript import ClaudeTranscript
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.process import Ending, ProcessResult

STREAMS = Path(__file__).parent / "streams" / "claude-code"
K = OutcomeKind


def ended(status: int = 0, ending: Ending = Ending.EXITED, stderr: str = "") -> ProcessResult:
    return ProcessResult(status=status, ending=ending, seconds=2.0, tail=stderr, stderr_tail=stderr)


def judge(lines: list[str], result: ProcessResult) -> AgentOutcome:
    transcript = ClaudeTranscript()
    for line in lines:
        transcript.read(line)
    return transcript.outcome(result)


def recorded(name: str) -> list[str]:
    return (STREAMS / f"{name}.jsonl").read_text().splitlines()


def test_everything_the_cli_says_of_a_call_is_kept() -> None:
    assert judge(recorded("success"), ended()) == AgentOutcome(
        kind=K.OK,
        detail="",
        last_message="All done: hello.py added and committed.",
        answer="All done: hello.py added and committed.",
        declared_no_change=None,
        usage=Usage(cost_usd=0.02028, input_tokens=5400, output_tokens=200, cached_tokens=3600, turns=5),
        version="2.1.197",
        model="claude-sonnet-4-5",
        session_id="35e199ac-1f72-4ae0-b5a0-ba60962e6705",
        exit_status=0,
    )


@pytest.mark.parametrize(
    ("ending", "kind"), [(Ending.TIMED_OUT, K.TIMED_OUT), (Ending.STALLED, K.STALLED)], ids=["timed out", "stalled"]
)
@pytest.mark.parametrize("name", ["sigterm", "sigint"], ids=["no final event", "final event says aborted"])
def test_call_that_we_ended_is_named_by_our_limit(name: str, ending: Ending, kind: OutcomeKind) -> None:
    assert judge(recorded(name), ended(143, ending)).kind is kind


def test_call_that_was_over_when_its_process_was_ended_did_succeed() -> None:
    assert judge(recorded("success"), ended(-9, Ending.TIMED_OUT)).kind is K.OK


def test_limit_reached_while_waiting_for_the_provider_says_so() -> None:
    outcome = judge(recorded("overload_giveup")[:4], ended(-15, Ending.STALLED))
    assert outcome.kind is K.STALLED
    assert outcome.detail.endswith("it was waiting for its provider: overloaded (529)")


@pytest.mark.parametrize(
    ("status", "stderr", "kind"),
    [
        (0, "", K.FAILED),
        (1, "", K.FAILED),
        (1, "Invalid API key · Please run /login", K.AUTH),
        (1, "--dangerously-skip-permissions cannot be used with root/sudo privileges", K.CONFIG),
        (1, "error: unknown option '--max-budget-usd'", K.CONFIG),
        (1, "Error: fetch failed", K.TRANSIENT),
        (-9, "", K.INTERRUPTED),
        (130, "", K.INTERRUPTED),
    ],
)
def test_call_without_a_final_event_is_judged_by_stderr_and_status(status: int, stderr: str, kind: OutcomeKind) -> None:
    outcome = judge([], ended(status, stderr=stderr))
    assert outcome.kind is kind
    assert stderr in outcome.detail


def event(**fields: object) -> str:
    return json.dumps(fields)


def tool_output(text: str) -> str:
    content = [{"type": "tool_result", "tool_use_id": "t", "content": text, "is_error": True}]
    return event(type="user", message={"role": "user", "content": content}, tool_use_result={"stderr": text})


def said(text: str, **fields: object) -> str:
    return event(type="assistant", message={"content": [{"type": "text", "text": text}]}, **fields)


def final(**fields: object) -> str:
    return event(**{"type": "result", "subtype": "success", "is_error": False, "result": "done", **fields})


ALARMING = [
    "API Error: 401 Invalid API key · Please run /login",
    "Credit balance is too low",
    "429 Too Many Requests: rate limit",
    "529 overloaded",
    "Prompt is too long",
    "Internal server error",
    "Reached maximum budget ($0.5)",
]


@pytest.mark.parametrize("text", ALARMING)
def test_text_of_tools_and_models_never_changes_the_class(text: str) -> None:
    talk = [said(text), tool_output(text), said(text, parent_tool_use_id="sub", error="rate_limit")]
    assert judge([*talk, final(result=text)], ended()).kind is K.OK
    assert judge(talk, ended(1)).kind is K.FAILED
    assert judge([*talk, final(subtype="error_max_turns", is_error=True, result=None)], ended(1)).kind is K.MAX_TURNS


def rate_limit(status: str, resets_at: object) -> str:
    return event(type="rate_limit_event", rate_limit_info={"status": status, "resetsAt": resets_at})


@pytest.mark.parametrize(
    ("status", "resets_at", "told"),
    [
        ("rejected", 1_795_680_000, datetime(2026, 11, 26, 8, 0, tzinfo=UTC)),
        ("allowed_warning", 1_795_680_000, None),
        ("rejected", None, None),
        ("rejected", 1e300, None),
        ("rejected", "2026-11-26T08:00:00", None),  # in whose time zone?
    ],
)
def test_limit_of_the_account_says_when_it_lifts(status: str, resets_at: object, told: datetime | None) -> None:
    refused = final(is_error=True, api_error_status=429, result="You've hit your session limit")
    outcome = judge([rate_limit(status, resets_at), refused], ended(1))
    assert (outcome.kind, outcome.retry_at) == (K.RATE_LIMITED, told)
    assert judge([rate_limit(status, resets_at), final()], ended()).retry_at is None


def test_error_the_model_recovered_from_is_forgotten() -> None:
    lines = [said("API Error", error="overloaded"), said("going on")]
    assert judge(lines, ended(1)).kind is K.FAILED


def test_error_subtype_is_no_success_even_when_the_flag_is_missing() -> None:
    assert judge([final(subtype="error_max_turns")], ended()).kind is K.MAX_TURNS


def test_denied_tools_are_named_and_fail_only_what_failed() -> None:
    denials = [{"tool_name": "Bash", "tool_input": {}}, {"tool_name": "Write"}, {"tool_name": "Bash"}]
    done = judge([final(permission_denials=denials)], ended())
    failed = judge([final(is_error=True, result=None, permission_denials=denials)], ended(1))
    assert (done.kind, done.detail) == (K.OK, "not allowed to use Bash, Write")
    assert (failed.kind, failed.detail) == (K.PERMISSION_DENIED, "not allowed to use Bash, Write")


@pytest.mark.parametrize("cost", [-1, "free", float("nan"), float("inf"), None, [1]])
def test_absurd_cost_is_unknown_and_hides_no_verdict(cost: object) -> None:
    outcome = judge([final(total_cost_usd=cost, num_turns="many", modelUsage=[], errors={})], ended())
    assert (outcome.kind, outcome.usage, outcome.last_message) == (K.OK, Usage(), "done")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not json",
        "{",
        "null",
        "[1]",
        "{}",
        '{"type": ["result"]}',
        '{"type": "system", "subtype": {}}',
        '{"type": "result"}',
        '{"type": "result", "subtype": 1, "is_error": "perhaps"}',
        '{"type": "assistant", "message": "text"}',
        '{"type": "assistant", "message": {"content": [{"type": "tool_use", "name": "x", "input": 7}]}}',
        '{"type": "something_new", "data": 1}',
        "{" + '"a":[' * 100_000,
        '{"type": "assistant", "message": {"content": [{"type": "text", "text": "' + "x" * 1_500_000,
    ],
    ids=range(15),
)
def test_broken_and_unknown_lines_are_skipped(line: str) -> None:
    lines = recorded("success")
    assert judge([line, *lines[:5], line, *lines[5:], line], ended()) == judge(lines, ended())


@given(
    st.text(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps)
)
def test_no_line_is_an_error(line: str) -> None:
    transcript = ClaudeTranscript()
    transcript.read(line)
    transcript.read('{"type":' + line + "}")
    assert transcript.outcome(ended()).kind is K.FAILED


def test_garbage_alone_is_no_success() -> None:
    outcome = judge(["Hello, I am done!", "success", '{"result": "success"}'], ended(0))
    assert (outcome.kind, outcome.detail) == (K.FAILED, "ended with status 0 and no final event")


def test_event_of_a_megabyte_is_read() -> None:
    outcome = judge([said("x" * 1_200_000), final(result="NO-CHANGE: it is all there" + "\n" + "y" * 1_000)], ended())
    assert (outcome.kind, outcome.declared_no_change) == (K.OK, "it is all there")


def test_progress_tells_what_the_agent_does_on_one_plain_line() -> None:
    def progress(line: str) -> str | None:
        step = ClaudeTranscript().read(line)
        return (step.text or None) if step else None

    def call(name: str, **values: object) -> str:
        content = [{"type": "tool_use", "name": name, "input": values}]
        return event(type="assistant", message={"content": content})

    retry = event(type="system", subtype="api_retry", attempt=2, max_retries=4, error_status=529, error="overloaded")
    assert [
        progress(said("Reading\n\x1b[31mthe\x1b[0m tests.\u202e")),
        progress(call("Bash", command="pytest -q", description="run")),
        progress(call("Edit", file_path="src/a.py", old_string="x")),
        progress(call("Task", command=5)),
        progress(retry),
        progress(tool_output("secret")),
        progress(final()),
    ] == [
        "Reading the tests.",
        "Bash: pytest -q",
        "Edit: src/a.py",
        "Task",
        "waiting: overloaded (529), try 2/4",
        None,
        None,
    ]
    assert len(progress(said("word " * 1000)) or "") == 200


def test_last_message_is_what_the_agent_said_last_when_it_did_not_end_well() -> None:
    lines = [
        said("first"),
        said("half way"),
        said("sub", parent_tool_use_id="t"),
        said("API Error", error="overloaded"),
    ]
    assert judge(lines, ended(1)).last_message == "half way"
