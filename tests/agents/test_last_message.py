"""The one line of a last message that graftline acts on."""

import pytest

from graftline.agents.last_message import (
    MESSAGE_CHARS,
    asked_question,
    bounded_message,
    declared_no_change,
    told_status,
)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("NO-CHANGE: the tests exist already", "the tests exist already"),
        ("I looked.\n  NO-CHANGE: nothing to do  \n", "nothing to do"),
        ("**NO-CHANGE:** it is done", "it is done"),
        ("`NO-CHANGE: it is done`", "it is done"),
        ("NO-CHANGE: one\nNO-CHANGE: two", "two"),
        ("NO-CHANGE:", None),
        ("NO-CHANGE:   \nreason on the next line", None),
        ("no-change: not the agreed spelling", None),
        ("End with a line `NO-CHANGE: reason`.", None),
        ("All done.", None),
        ("", None),
    ],
)
def test_only_a_line_with_a_reason_declares_no_change(message: str, reason: str | None) -> None:
    assert declared_no_change(message) == reason
    assert asked_question(message.replace("NO-CHANGE", "STUCK")) == reason
    assert told_status(message.replace("NO-CHANGE", "STATUS")) == reason


def test_each_word_declares_only_its_own() -> None:
    message = "STATUS: half\nNO-CHANGE: done\nSTUCK: which?"
    assert (told_status(message), declared_no_change(message), asked_question(message)) == ("half", "done", "which?")


def test_message_is_bounded_and_keeps_its_end() -> None:
    message = bounded_message("x" * 3 * MESSAGE_CHARS + "\x1b[1mend\x1b[0m\n")
    assert message.endswith("xend")
    assert len(message) <= MESSAGE_CHARS
