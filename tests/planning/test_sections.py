"""A section never takes more room than it has, and what it quotes stays quoted."""

from hypothesis import given
from hypothesis import strategies as st

from graftline.planning.sections import Section

hostile = st.lists(
    st.one_of(st.text(max_size=30), st.just("```"), st.just("`" * 40), st.just("## Heading")), max_size=12
)


@given(hostile, st.integers(0, 400))
def test_a_section_keeps_to_its_room_and_in_its_fence(lines: list[str], room: int) -> None:
    text, kept = Section("Title", "About.", lines).within(room)

    assert len(text) <= room
    assert kept <= len(lines)
    if not text:
        return
    _, _, about, blank, *body = text.rstrip("\n").split("\n")
    assert (about, blank) == ("About.", "")
    opening, closing = body[0], body[-1]
    assert opening == f"{closing}text"
    assert not any(line.startswith(closing) for line in body[1:-1])


def test_a_section_shows_as_many_lines_as_fit() -> None:
    section = Section("Title", "About.", ["one", "two", "three"])

    assert section.within(1_000) == ("## Title\n\nAbout.\n\n```text\none\ntwo\nthree\n```\n\n", 3)
    assert section.within(45) == ("## Title\n\nAbout.\n\n```text\none\ntwo\n```\n\n", 2)
    assert section.within(20) == ("", 0)
    assert Section("Title", "About.", []).within(1_000) == ("", 0)
