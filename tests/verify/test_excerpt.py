"""Untrusted text is bounded and harmless."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from graftline.verify.excerpt import excerpt, plain_text


@given(st.text(st.characters()), st.integers(100, 500))
def test_excerpt_is_bounded_and_holds_no_control_character(text: str, limit_bytes: int) -> None:
    shown = excerpt(text, limit_bytes)
    assert len(shown.encode()) <= limit_bytes
    assert not [mark for mark in shown if unicodedata.category(mark) in ("Cc", "Cs") and mark not in "\t\n"]


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=25))
def test_short_ordinary_text_stays_as_it_is(text: str) -> None:
    assert excerpt(text, 100) == text


def test_terminal_sequences_go_and_their_text_stays() -> None:
    text = "\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x1b\\ \x1b]0;never ended\nnext\r\nline\x9b2J"
    assert plain_text(text) == "red link ]0;never ended\nnext\nline2J"


def test_excerpt_keeps_beginning_and_end() -> None:
    shown = excerpt("begin" + "é" * 1000 + "end", 200)
    assert shown.startswith("begin")
    assert shown.endswith("end")
    assert "bytes left out" in shown
