"""Words of code and prose come down to the same ones, and bags find them again."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.planning.words import MOST_COUNTED, Bag, WordTable, count_words, words_of


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("parseHTTPHeaders", ("pars", "http", "head", "parsehttpheaders")),
        ("_parse_http_header", ("pars", "http", "head", "parse_http_header")),
        ("SCREAMING_CASE", ("scream", "cas", "screaming_case")),
        ("headers", ("head",)),
        ("classes", ("class",)),
        ("process", ("process",)),
        ("queries", ("quer",)),
        ("query", ("quer",)),
        ("x", ()),
        ("a" * 61, ()),
        ("größe", ("gr", "öß", "größe")),
    ],
)
def test_an_identifier_is_taken_apart(identifier: str, words: tuple[str, ...]) -> None:
    assert words_of(identifier) == words


def test_code_and_prose_share_words() -> None:
    code, prose = count_words("def parseHTTPHeader(parser): ..."), count_words("Parsing of HTTP headers")

    assert {"pars", "http", "head"} <= code.keys() & prose.keys()
    assert code["pars"] == 2


@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(1, 400), max_size=8), max_size=8))
def test_a_table_finds_every_word_of_every_bag(counted: list[dict[str, int]]) -> None:
    bags = [Bag.of(counts) for counts in counted]
    table = WordTable(bags)

    for word in {word for counts in counted for word in counts} | {"in no bag at all"}:
        expected = {place: min(counts[word], MOST_COUNTED) for place, counts in enumerate(counted) if word in counts}
        assert table.occurrences(word) == expected
    assert table.lengths == [sum(counts.values()) for counts in counted]
    assert [Bag.stored(bag.numbers, bag.counts, bag.length) for bag in bags] == bags


def test_a_bag_whose_pieces_do_not_fit_is_refused() -> None:
    bag = Bag.of(Counter({"one": 1, "two": 2}))

    with pytest.raises(ValueError, match="do not fit"):
        Bag.stored(bag.numbers, bag.counts[:1], bag.length)
