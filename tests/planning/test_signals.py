"""Each signal by itself: which files it speaks for, and for which of them more."""

from collections.abc import Mapping

import pytest

from graftline.planning import signals
from graftline.planning.signals import Corpus, Scores, code_names, request_words
from tests.planning.indexing import history_of, index_texts

TEXTS = {
    "docs/notes.md": "An invoice, an invoice and a parcel.\n",
    "shop/cart.py": "from shop.invoice import Invoice\n\ndef total_price() -> Invoice: ...\n",
    "shop/invoice.py": "class Invoice: ...\n\ndef print_invoice(): ...\n",
    "shop/invoice_book.py": "class Book: ...\n",
    "tests/test_invoice.py": "def test_prints(): assert Invoice\n",
    "vendor/invoice.py": "class Invoice: ...\n",
}
CORPUS = Corpus(index_texts(TEXTS))
INVOICE = request_words("invoice")


def best_first(scores: Scores) -> list[str]:
    return [CORPUS.files[place].path for place in sorted(scores, key=lambda place: (-scores[place], place))]


def place(path: str) -> int:
    return CORPUS.places[path]


def by_path(scores: Scores) -> Mapping[str, float]:
    return {CORPUS.files[place].path: score for place, score in scores.items()}


def test_text_is_found_by_words_that_are_rare_and_often_in_short_files() -> None:
    texts = {
        "long.md": "invoice parcel " + "more " * 50,
        "often.md": "invoice invoice here",
        "once.md": "invoice was here",
    }
    corpus = Corpus(index_texts(texts))
    found = signals.by_text(corpus, INVOICE)

    assert [corpus.files[place].path for place in sorted(found, key=found.__getitem__)] == [
        "long.md",
        "once.md",
        "often.md",
    ]
    assert max(signals.by_text(corpus, request_words("parcel")).values()) > min(found.values())
    assert signals.by_text(corpus, request_words("nowhere")) == {}


def test_names_are_those_that_a_file_defines() -> None:
    assert best_first(signals.by_names(CORPUS, INVOICE)) == ["shop/invoice.py"]
    assert best_first(signals.by_names(CORPUS, request_words("price"))) == ["shop/cart.py"]


def test_a_path_is_found_by_its_words_the_files_own_more_than_its_folders() -> None:
    corpus = Corpus(index_texts({"cart/first.py": "", "second/cart.py": "", "third.py": ""}))
    found = signals.by_path(corpus, request_words("carts"))

    assert [corpus.files[place].path for place in sorted(found, key=found.__getitem__)] == [
        "cart/first.py",
        "second/cart.py",
    ]


def test_a_files_own_name_counts_by_the_share_that_is_named() -> None:
    assert by_path(signals.by_own_name(CORPUS, INVOICE)) == {
        "shop/invoice.py": 1.0,
        "shop/invoice_book.py": pytest.approx(1 / 3),
        "tests/test_invoice.py": pytest.approx(1 / 3),
    }


@pytest.mark.parametrize(
    ("request_text", "found"),
    [
        ("See shop/cart.py, line 3", {"shop/cart.py": 1.0}),
        ("See `cart.py`.", {"shop/cart.py": 1.0}),
        ("See xcart.py and shop/cart.pyc", {}),
        ("See ../shop/cart.py", {"shop/cart.py": 1.0}),
    ],
)
def test_files_that_a_request_names(request_text: str, found: Mapping[str, float]) -> None:
    assert by_path(signals.by_mention(CORPUS, request_text)) == found


def test_names_written_as_code_lead_to_who_defines_and_who_uses_them() -> None:
    assert by_path(signals.by_definition(CORPUS, ["Invoice", "Book"])) == {
        "shop/invoice.py": 1.0,
        "shop/invoice_book.py": 1.0,
    }
    assert by_path(signals.by_use(CORPUS, ["Invoice"])) == {"shop/cart.py": 1.0}


def test_names_written_as_code() -> None:
    text = "Let `total` of CartItem and cart_item call round() in plain Words, SHOUTED or not, not `x`"

    assert code_names(text) == ("total", "CartItem", "cart_item", "round")


def test_words_that_say_nothing_are_left_out_and_the_subject_counts_double() -> None:
    assert request_words("Fix the invoices\n\nThe invoices of all customers") == {"invoic": 3.0, "custom": 1.0}


def test_messages_like_the_request_speak_for_what_their_commits_touched() -> None:
    history = history_of(
        ("Print the invoice larger", ("shop/invoice.py", "gone.py")),
        ("Print a parcel label", ("shop/cart.py",)),
        ("Unrelated", ("shop/invoice_book.py",)),
    )

    found = signals.by_messages(CORPUS, request_words("Print invoice"), history)

    assert best_first(found) == ["shop/invoice.py", "shop/cart.py"]
    assert by_path(found)["shop/invoice.py"] == pytest.approx(2**-0.5)  # one of two files of the likest commit


def test_what_changed_often_and_lately_comes_first() -> None:
    history = history_of(
        ("One", ("shop/cart.py",)), ("Two", ("shop/cart.py",)), ("Three", ("shop/invoice.py", "docs/notes.md"))
    )

    found = signals.by_recency(CORPUS, history)

    assert best_first(found) == ["shop/cart.py", "docs/notes.md", "shop/invoice.py"]


def test_seeds_vouch_for_what_changes_with_them_in_proportion() -> None:
    history = history_of(
        ("One", ("shop/cart.py", "shop/invoice.py")),
        ("Two", ("shop/cart.py", "shop/invoice.py")),
        ("Three", ("shop/cart.py", "docs/notes.md")),
    )

    found = by_path(signals.by_company(CORPUS, {place("shop/cart.py"): 0.5}, history))

    assert found == {"shop/invoice.py": pytest.approx(0.5 * 2 / 6), "docs/notes.md": pytest.approx(0.5 * 1 / 6)}


def test_seeds_vouch_for_files_that_import_or_use_them() -> None:
    found = by_path(signals.by_references(CORPUS, {place("shop/invoice.py"): 1.0}))

    assert found == {"shop/cart.py": 2.0}  # imports it, and uses its class


def test_seeds_vouch_for_their_tests() -> None:
    assert by_path(signals.by_twins(CORPUS, {place("tests/test_invoice.py"): 0.5})) == {
        "shop/invoice.py": 0.5,
        "tests/test_invoice.py": 0.5,
    }
    assert signals.by_twins(CORPUS, {place("shop/cart.py"): 1.0}) == {}
