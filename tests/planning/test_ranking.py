"""Each signal brings the file up that it speaks for; all else being equal."""

import pytest

from graftline.planning.history import History
from graftline.planning.ranking import rank_files
from graftline.planning.signals import Corpus
from tests.planning.indexing import history_of, index_texts

# Alike in words and length, so that a signal alone decides.
PLAIN = {f"shop/{name}.py": "value = 'some words of no meaning'\n" for name in ("alpha", "beta", "gamma", "delta")}


def ranked(request: str, texts: dict[str, str], *commits: tuple[str, tuple[str, ...]]) -> tuple[str, ...]:
    return rank_files(request, corpus=Corpus(index_texts(texts)), history=history_of(*commits))


@pytest.mark.parametrize(
    ("request_text", "changed"),
    [
        pytest.param("Explain the invoice numbering", {"shop/gamma.py": "# invoices are numbered here\n"}, id="text"),
        pytest.param("Number the invoices", {"shop/gamma.py": "def invoice_number(): ...\n"}, id="names"),
        pytest.param("Speed up invoicing", {"shop/invoice.py": "value = 1\n"}, id="path"),
        pytest.param("Correct a word in shop/gamma.py", {}, id="mention of a path"),
        pytest.param("Correct a word in gamma.py", {}, id="mention of a name"),
        pytest.param("Let `Invoice` print itself", {"shop/gamma.py": "class Invoice: ...\n"}, id="definition"),
    ],
)
def test_the_file_that_a_request_speaks_of_is_the_first(request_text: str, changed: dict[str, str]) -> None:
    wanted = next(iter(changed), "shop/gamma.py")

    assert ranked(request_text, {**PLAIN, **changed})[0] == wanted


def test_a_file_touched_by_a_commit_with_a_message_like_the_request() -> None:
    commits = [("Round totals of orders", ("shop/beta.py",)), ("Ship parcels abroad", ("shop/delta.py",))]

    assert ranked("Ship a parcel to customers abroad", PLAIN, *commits)[0] == "shop/delta.py"


def test_what_changed_lately_comes_before_what_did_not() -> None:
    commits = [("One", ("shop/gamma.py",)), *[("Other", ("README.md",))] * 400, ("Two", ("shop/beta.py",))]

    assert ranked("Something else altogether", PLAIN, *commits) == ("shop/gamma.py", "shop/beta.py")


def test_the_best_files_vouch_for_their_company() -> None:
    texts = {
        **PLAIN,
        "shop/invoice.py": "from shop import beta\nclass Invoice: ...\n",
        "shop/user.py": "from shop.invoice import Invoice\nInvoice()\n",
        "tests/test_invoice.py": "assert True\n",
        "docs/other.rst": "words\n",
    }
    together = [("Touch both", ("shop/gamma.py", "shop/invoice.py"))] * 3

    found = ranked("Number every Invoice", texts, *together)

    assert found[0] == "shop/invoice.py"
    assert {"shop/user.py", "tests/test_invoice.py", "shop/gamma.py"} <= set(found)
    assert "shop/delta.py" not in found


def test_code_comes_before_prose_with_the_same_words() -> None:
    texts = {"notes.md": "number invoices\n", "shop/a.py": "# number invoices\n"}

    assert ranked("Number the invoices", texts) == ("shop/a.py", "notes.md")


def test_files_that_are_not_read_are_not_ranked() -> None:
    assert ranked("Number the invoices", {"vendor/invoice.py": "class Invoice: ...\n", **PLAIN}) == ()


@pytest.mark.parametrize(
    "request_text",
    ["", "\n\n", "the and of", "\0\x1b[31m\ud800", "`" * 20_000, "a.b/" * 20_000, "Aa" * 20_000, "a" * 20_000],
    ids=["empty", "blank", "common", "unprintable", "quotes", "paths", "capitals", "letters"],
)
def test_no_request_is_too_odd(request_text: str) -> None:
    assert rank_files(request_text, corpus=Corpus(index_texts({})), history=History(())) == ()
    assert set(ranked(request_text, PLAIN)) <= set(PLAIN)
