"""Foreign text cannot leave its quotes, move a cursor or grow without bounds."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from graftline.text import excerpt, fenced, find_hidden, plain_end, plain_line, plain_text

NASTY = st.text(st.sampled_from("ab \n\t\r\x1b[]()0;31mKH\x07\x9b`~_\\\u202e\u2066é"), max_size=120)


def test_escape_sequences_leave_nothing_behind() -> None:
    text = "\x1b[31mred\x1b[0m \x1b]8;;http://x\x1b\\link\x1b]8;;\x07 \x1b(Bplain \x9b2Jeight\r\nnext\rline\u202e"
    assert plain_text(text) == "red link plain eight\nnext\nline"


@given(NASTY | st.text())
def test_plain_text_holds_no_control_character(text: str) -> None:
    controls = [mark for mark in plain_text(text) if unicodedata.category(mark) == "Cc"]
    assert set(controls) <= {"\n", "\t"}


@given(NASTY | st.text(), st.integers(min_value=1, max_value=50))
def test_line_is_one_line_of_bounded_length(text: str, limit: int) -> None:
    line = plain_line(text, limit)
    assert len(line) <= limit
    assert line.splitlines() in ([], [line])


@given(NASTY | st.text(), st.integers(min_value=1, max_value=50))
def test_end_is_bounded(text: str, limit: int) -> None:
    assert len(plain_end(text, limit)) <= limit


@given(NASTY)
def test_fenced_text_cannot_close_its_fence(text: str) -> None:
    opening, *body, closing = fenced(text, 1_000).split("\n")
    fence = opening.removesuffix("text")
    assert set(fence) == {"`"}
    assert closing == fence
    assert not any(line.lstrip().startswith(fence) for line in body)


def test_long_text_keeps_both_ends() -> None:
    quoted = fenced("start " + "x" * 10_000 + " end", 100)
    assert "start" in quoted
    assert quoted.endswith(" end\n```")
    assert "9910 characters left out" in quoted


@given(st.text(st.characters()), st.integers(100, 500))
def test_excerpt_is_bounded_and_holds_no_control_character(text: str, limit_bytes: int) -> None:
    shown = excerpt(text, limit_bytes)
    assert len(shown.encode()) <= limit_bytes
    assert not [mark for mark in shown if unicodedata.category(mark) in ("Cc", "Cs") and mark not in "\t\n"]


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=25))
def test_short_ordinary_text_stays_as_it_is(text: str) -> None:
    assert excerpt(text, 100) == text


def test_excerpt_keeps_beginning_and_end() -> None:
    shown = excerpt("begin" + "é" * 1000 + "end", 200)
    assert shown.startswith("begin")
    assert shown.endswith("end")
    assert "bytes left out" in shown


def test_unfinished_control_string_hides_nothing_after_it() -> None:
    assert plain_text("before \x1b]0;after\nmore") == "before 0;after\nmore"


def test_the_first_hidden_character_is_named() -> None:
    assert find_hidden("one\r\n\ttwo é \U0001f600\u200d\u2640") == ""
    assert [find_hidden(f"a{mark}b\x07") for mark in "\r\u200b\u202e\x1b"] == ["U+000D", "U+200B", "U+202E", "U+001B"]


def test_long_text_is_cut_with_a_mark() -> None:
    assert plain_line("word " * 100, 12) == "word word w…"
    assert plain_text("a\nb\tc" + "x" * 10_000_000, 8) == "a\nb\tcxx…"
