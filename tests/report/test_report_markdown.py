"""The Markdown report shows foreign text as text, reads well bare, and stays within its size."""

from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from graftline.report.markdown import MAXIMUM_BYTES, code_span, escape, to_markdown
from graftline.report.model import Report, RunState, TestFailure
from graftline.text import plain_line

MakeReport = Callable[[str], Report]
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NASTY = st.text(st.sampled_from('`|*_~[]()<>#!&\\-+=.:1aé \n\t\x1b\x07\u202e$"'), max_size=30) | st.text()


def shape(tokens: list[Token]) -> list[str]:
    """What kinds of blocks there are, and that lines hold nothing but text and code."""
    inline = {child.type for token in tokens for child in token.children or []}
    assert inline <= {"text", "text_special", "code_inline"}, inline
    return [token.type for token in tokens]


def shown(markdown: str) -> list[str]:
    """The text a reader sees of each paragraph or cell."""
    return [
        "".join(child.content for child in token.children or [])
        for token in PARSER.parse(markdown)
        if token.type == "inline"
    ]


@given(foreign=NASTY)
@example(foreign="x\n# Heading\n\n| a | b |\n|---|---|\n<script>alert(1)</script> ![i](u) ```")
@example(foreign="x\n```\n# Heading\n")
@example(foreign="1. one")
@example(foreign="- - -")
@example(foreign="[a]: b")
def test_nothing_foreign_becomes_markdown(make_report: MakeReport, foreign: str) -> None:
    assume(plain_line(foreign, 50))
    assert shape(PARSER.parse(to_markdown(make_report(foreign)))) == shape(PARSER.parse(to_markdown(make_report("x"))))


@given(foreign=NASTY)
@example(foreign="&lt; | <b>x</b> | <a@b.c> \\| `|`")
def test_escaped_text_is_seen_as_it_is(foreign: str) -> None:
    line = plain_line(foreign, 300)
    assume(line)
    assert shown(escape(foreign)) == [line]
    assert [text.strip() for text in shown(code_span(foreign))] == [line]
    assert shown(f"| a | b |\n|---|---|\n| {escape(foreign)} | end |\n") == ["a", "b", line, "end"]


def test_both_ends_of_a_tag_are_escaped_for_readers_that_are_not_strict() -> None:
    assert escape("<b>") == r"\<b\>"


def test_control_sequences_are_gone(make_report: MakeReport) -> None:
    markdown = to_markdown(make_report("a\x1b[31mred\x1b[0m \x1b]0;title\x07b\x08\u202ec\x9b1md\r\ne"))
    assert "ared bc" in markdown
    assert not {"\x1b", "\x07", "\x08", "\x9b", "\u202e", "\r"} & set(markdown)


def test_report_reads_well_without_being_drawn(make_report: MakeReport) -> None:
    lines = to_markdown(make_report("found 3_000 in test_x")).splitlines()
    assert lines[:13] == [
        "# fix-login-111111: partial",
        "",
        "found 3_000 in test_x",
        "",
        "- Result: on branch graftline/fix-login-111111; main was not moved",
        "- Base: `aaaaaaaaaaaa`",
        "- Tests: python -m pytest 'found 3_000 in test_x' ended with 1: 11 passed, 1 failed; 1 failed before this run",
        "- Cost: $0.36 and 1 call of unknown cost (counted as $0.50)",
        "- Cap: the run's cap of $1.00 leaves $0.14, and the next call counts as $0.50; "
        "resume with a higher --max-cost",
        r"- Cap: the agent of found 3_000 in test_x used up the $0.30 it was given of the task's cap of $0.40; "
        r"raise \[cost\] task_usd and resume with --yes",
        "- Time: 1 h 6 min",
        "- Estimate: $0.20 to $1.50; 20 to 50 min (1 h 5 min: did not hold); going by found 3_000 in test_x; "
        "80% intervals held here of time in 6 of 9 runs, of cost in 1 of 1 run",
        "- Next: `git switch main && git merge graftline/fix-login-111111`",
    ]
    assert "| api | succeeded | 2 | unknown | 2 min 2 s | cccccccccccc | found 3_000 in test_x |" in lines
    assert "| later | skipped | 0 |  |  |  | docs conflicted |" in lines
    assert "- docs collides with api in `found 3_000 in test_x`" in lines
    assert "- api: `refs/graftline/1/salvage/api/1` at ffffffffffff" in lines


def test_quiet_report_has_no_empty_sections(make_report: MakeReport) -> None:
    nothing = dict.fromkeys(["heals", "conflicts", "questions", "salvage", "notes", "tasks"], ())
    report = make_report("x").model_copy(update={"tests": None, "approval": None, **nothing})
    markdown = to_markdown(report)
    assert [line for line in markdown.splitlines() if line.startswith("## ")] == []
    assert "- Tests: untested" in markdown


@pytest.mark.parametrize("message", ["é`" * 3000, "line\n" * 2000])
def test_report_of_any_length_stays_within_its_size_and_says_it_is_cut(make_report: MakeReport, message: str) -> None:
    report = make_report("x")
    assert report.tests is not None
    failures = tuple(TestFailure(test=f"test_{number}", message=message) for number in range(200))
    long = report.model_copy(update={"tests": report.tests.model_copy(update={"failures": failures})})
    markdown = to_markdown(long)
    assert MAXIMUM_BYTES * 0.9 < len(markdown.encode()) <= MAXIMUM_BYTES
    assert markdown.endswith("This report is cut here: the JSON report has everything.\n")
    assert shape(PARSER.parse(markdown))[-3:] == ["paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({"state": RunState.LANDED, "landed_commit": "9" * 40}, f"git log --stat {'a' * 12}..{'9' * 12}"),
        ({"branch": "team's/x"}, "git switch main && git merge 'team'\"'\"'s/x'"),
        ({"branch": None, "state": RunState.TESTS_FAILED}, "graftline diff fix-login-111111"),
        ({"branch": None, "state": RunState.CRASHED, "tasks": (), "salvage": ()}, "graftline status fix-login-111111"),
    ],
)
def test_next_command_fits_the_end_of_the_run(
    make_report: MakeReport, update: dict[str, object], expected: str
) -> None:
    assert f"- Next: `{expected}`" in to_markdown(make_report("x").model_copy(update=update))


def test_nothing_to_land_needs_no_next_command(make_report: MakeReport) -> None:
    update = {"branch": None, "state": RunState.NOTHING_TO_LAND}
    assert "- Next" not in to_markdown(make_report("x").model_copy(update=update))
