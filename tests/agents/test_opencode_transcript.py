"""What decides about a call of OpenCode: its last step, its errors and its exit status, and nothing a tool said."""

import json

import pytest

from graftline.agents.opencode_transcript import OpenCodeTranscript
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.process import Ending, ProcessResult

K = OutcomeKind


def ended(status: int = 0, ending: Ending = Ending.EXITED, stderr: str = "") -> ProcessResult:
    return ProcessResult(status=status, ending=ending, seconds=2.0, tail=stderr, stderr_tail=stderr)


def judge(lines: list[str], result: ProcessResult) -> AgentOutcome:
    transcript = OpenCodeTranscript("m")
    for line in lines:
        transcript.read(line)
    return transcript.outcome(result)


def event(kind: str, **part: object) -> str:
    return json.dumps({"type": kind, "sessionID": "ses_1", "part": part})


def said(text: str) -> str:
    return event("text", text=text)


def tool(name: str, **state: object) -> str:
    return event("tool_use", tool=name, state=state)


def step(reason: str, **part: object) -> str:
    return event("step_finish", reason=reason, **part)


def error(name: str, **data: object) -> str:
    return json.dumps({"type": "error", "sessionID": "ses_1", "error": {"name": name, "data": data}})


STOP = step("stop")


@pytest.mark.parametrize(
    "text",
    [
        "429 Too Many Requests: rate limit",
        "invalid api key (401)",
        "prompt is too long",
        "insufficient_quota",
        "503 UNAVAILABLE: overloaded",
    ],
)
def test_text_of_tools_and_models_never_changes_the_class(text: str) -> None:
    talk = [said(text), tool("bash", status="completed", output=text, error=text, metadata={"exit": 1})]
    assert judge([*talk, STOP], ended()).kind is K.OK
    assert judge([*talk, step("tool-calls")], ended(1)).kind is K.FAILED
    assert judge([*talk, step("length")], ended()).kind is K.FAILED


@pytest.mark.parametrize(
    ("lines", "status", "kind"),
    [
        ([error("APIError", message="no", statusCode=403)], 1, K.AUTH),
        ([error("APIError", message="no", statusCode=429)], 1, K.RATE_LIMITED),
        # What only the code tells.
        (
            [error("APIError", message="no", statusCode=429, responseBody='{"code": "insufficient_quota"}')],
            1,
            K.BILLING,
        ),
        ([error("APIError", message="no", statusCode=418)], 1, K.FAILED),
        ([error("ProviderAuthError", message="no key")], 1, K.AUTH),
        ([error("ContextOverflowError", message="too much")], 1, K.CONTEXT_EXHAUSTED),
        ([error("UnknownError")], 1, K.FAILED),
        ([error("")], 0, K.FAILED),
        # It says it stopped, and an error after it that it did not.
        ([STOP, error("APIError", message="no", statusCode=500)], 0, K.TRANSIENT),
        ([STOP], 1, K.FAILED),
        ([STOP], -9, K.INTERRUPTED),
        ([step("tool-calls")], 0, K.FAILED),
        ([step("tool-calls")], -15, K.INTERRUPTED),
        ([step("content-filter")], 0, K.FAILED),
        ([], 0, K.FAILED),
    ],
)
def test_call_that_did_not_succeed_is_told_by_step_error_and_status(
    lines: list[str], status: int, kind: OutcomeKind
) -> None:
    outcome = judge(lines, ended(status))
    assert outcome.kind is kind
    assert outcome.detail


def test_error_it_got_over_is_told_and_no_failure_although_it_exits_with_one() -> None:
    overflow = error("ContextOverflowError", message="too much")
    summary = [said("What was done."), STOP, event("text", text="Go on.", synthetic=True)]
    whole = [overflow, *summary, said("All done."), STOP]
    done, cut = judge(whole, ended(1)), judge([overflow, *summary], ended(-9, Ending.STALLED))
    assert (done.kind, done.detail, done.last_message) == (K.OK, "it got over an error: too much", "All done.")
    assert (cut.kind, cut.last_message) == (K.STALLED, "What was done.")
    assert judge(whole, ended(2)).kind is K.FAILED


@pytest.mark.parametrize(
    ("ending", "kind"), [(Ending.TIMED_OUT, K.TIMED_OUT), (Ending.STALLED, K.STALLED)], ids=["timed out", "stalled"]
)
def test_call_that_we_ended_is_named_by_our_limit_unless_all_was_said(ending: Ending, kind: OutcomeKind) -> None:
    assert judge([step("tool-calls")], ended(-15, ending)).kind is kind
    assert judge([error("MessageAbortedError", message="aborted")], ended(1, ending)).kind is kind
    assert judge([said("Done."), STOP], ended(-15, ending)).kind is K.OK


def test_progress_tells_what_it_says_and_does_but_not_what_a_tool_printed() -> None:
    transcript = OpenCodeTranscript("m")
    command = {"command": "make"}
    lines = [
        said("STATUS: wri\nting"),
        tool("bash", status="completed", input=command, output="secret", metadata={"exit": 0}),
        tool("bash", status="completed", input=command, output="broken", metadata={"exit": 2}),
        tool("edit", status="error", input={"filePath": "a.py"}, error="not found"),
        STOP,
    ]
    told = [progress for line in lines if (progress := transcript.read(line)) is not None]
    assert [(each.text, each.said, each.command, each.error) for each in told] == [
        ("STATUS: wri ting", "STATUS: wri\nting", "", ""),
        ("bash: make", "", 'bash {"command": "make"}', ""),
        ("bash: make", "", 'bash {"command": "make"}', "broken"),
        ("edit: a.py", "", 'edit {"filePath": "a.py"}', "not found"),
    ]


def test_account_is_the_sum_of_all_steps() -> None:
    first = {"input": 10, "output": 20, "reasoning": 5, "cache": {"read": 100, "write": 1}}
    lines = [step("tool-calls", tokens=first, cost=0.25), step("stop", tokens={"input": 1, "output": 2}, cost=0.5)]
    assert judge(lines, ended()).usage == Usage(
        cost_usd=0.75, input_tokens=12, output_tokens=27, cached_tokens=100, turns=2
    )


@pytest.mark.parametrize("cost", [0, -1, "free", None, float("nan")])
def test_model_without_a_price_has_an_unknown_cost(cost: object) -> None:
    assert judge([step("stop", tokens={"input": 10}, cost=cost)], ended()).usage.cost_usd is None


@pytest.mark.parametrize(
    "line",
    [
        '{"type": "text", "part": {"text": 7}}',
        '{"type": "text"}',
        '{"type": "step_finish", "part": "stop"}',
        '{"type": "tool_use", "part": {"tool": "x", "state": 7}}',
        '{"type": "error", "error": "text"}',
        '{"type": "reasoning", "part": {"text": "hm"}}',
        '{"type": ["step_finish"]}',
    ],
)
def test_broken_and_unknown_lines_are_skipped(line: str) -> None:
    whole = [said("Done."), STOP]
    assert judge([line, whole[0], line, whole[1], line], ended()) == judge(whole, ended())
