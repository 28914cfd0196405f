"""What a person is told of an agent while it works."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.backend import Progress
from graftline.agents.notices import MOST_STATUSES, TEXT_CHARS, Notice, NoticeKind, ProgressWatch
from graftline.text import plain_line


def seen(*progress: Progress) -> list[Notice]:
    watch = ProgressWatch()
    return [notice for one in progress for notice in watch.see(one)]


def status(text: str) -> Notice:
    return Notice(NoticeKind.STATUS, text)


def commands(*names: str) -> list[Progress]:
    return [Progress(f"runs {name}", command=name) for name in names]


def errors(*texts: str) -> list[Progress]:
    return [Progress("", error=text) for text in texts]


def test_status_is_told_when_it_changes() -> None:
    said = ["I begin.\nSTATUS: one", "STATUS: one", "working", "**STATUS:** two\nmore", "STATUS: one"]
    assert seen(*(Progress("p", said=text) for text in said)) == [status("one"), status("two"), status("one")]


def test_question_is_told_at_once() -> None:
    assert seen(Progress("p", said="STATUS: nearly there\nSTUCK: which one?")) == [status("stuck: which one?")]


def test_number_and_length_of_statuses_are_bounded() -> None:
    told = seen(*(Progress("p", said=f"STATUS: {number} {'x' * 1000}") for number in range(3 * MOST_STATUSES)))
    assert len(told) == MOST_STATUSES
    assert {len(notice.text) for notice in told} == {TEXT_CHARS}


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (commands("a", "a", "a"), ["the same command 3 times in a row: a"]),
        (commands("a", "a", "b", "a", "a"), []),
        ([*commands("a", "a"), Progress("says something", said="hm"), *commands("a")], ["the same command 3 times"]),
        (errors("e", "e", "e"), ["the same error 3 times in a row"]),
        (errors("e", "f", "e", "e"), []),
        # Each time another way, with the same result.
        (
            [one for pair in zip(commands("a", "b", "c"), errors("e", "e", "e"), strict=True) for one in pair],
            ["the same error 3 times in a row"],
        ),
        ([*commands(*"aaaaaa"), *commands(*"bbb"), *errors(*"eee")], ["the same command 3 times in a row: a"]),
        ([Progress("works")] * 10, []),
    ],
)
def test_loop_is_told_once(progress: list[Progress], told: list[str]) -> None:
    notices = seen(*progress)
    assert [notice.kind for notice in notices] == [NoticeKind.LOOPING] * len(told)
    assert all(notice.text.startswith(text) for notice, text in zip(notices, told, strict=True))


def test_what_a_tool_printed_is_not_told() -> None:
    assert "secret" not in str(seen(*errors(*["token=secret"] * 3)))


@given(st.lists(st.builds(Progress, text=st.text(), said=st.text(), command=st.text(), error=st.text())))
def test_notices_are_lines_that_steer_no_terminal(progress: list[Progress]) -> None:
    assert all(notice.text and notice.text == plain_line(notice.text, TEXT_CHARS) for notice in seen(*progress))
