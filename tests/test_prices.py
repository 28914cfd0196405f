"""Prices: which one is a model's, and what tokens cost by it."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.outcome import Usage
from graftline.prices import ModelPrice, cost_of, find_price

PRICES = {
    name: ModelPrice(input=rank, output=rank)
    for rank, name in enumerate(["gpt-5", "gpt-5-mini*", "gpt-5*", "local/*", "gpt-5-mini-2026"])
}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-5", "gpt-5"),
        ("gpt-5-mini", "gpt-5-mini*"),
        ("gpt-5-mini-2026", "gpt-5-mini-2026"),
        ("gpt-5-mini-2026-01", "gpt-5-mini*"),
        ("gpt-5-pro", "gpt-5*"),
        ("local/qwen3", "local/*"),
        ("gpt-4", None),
        ("", None),
    ],
)
def test_a_model_has_the_price_of_its_name_else_of_the_longest_beginning(model: str, name: str | None) -> None:
    assert find_price(model, PRICES) == (None if name is None else PRICES[name])


def test_a_name_without_a_star_stands_for_itself_alone() -> None:
    assert find_price("gpt-5-mini", {"gpt-5": PRICES["gpt-5"]}) is None
    assert find_price("", {"*": PRICES["gpt-5"]}) == PRICES["gpt-5"], "a star alone is any model"


def test_tokens_from_a_cache_have_a_price_of_their_own_or_that_of_all() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=2_000_000)
    assert cost_of(usage, ModelPrice(input=1.25, output=10, cached=0.125)) == 2.5
    assert cost_of(usage, ModelPrice(input=1.25, output=10)) == 4.75
    assert cost_of(usage, ModelPrice(input=0, output=0)) == 0


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=10**400, output_tokens=5),
        Usage(),
        Usage(input_tokens=5),
        Usage(output_tokens=5),
        Usage(input_tokens=5, output_tokens=-1),
        Usage(turns=3),
    ],
)
def test_a_call_that_does_not_tell_its_tokens_has_an_unknown_cost(usage: Usage) -> None:
    assert cost_of(usage, ModelPrice(input=1, output=1)) is None


TOKENS = st.integers(0, 10**9)
CENTS = st.integers(0, 10**5)


@given(tokens=st.tuples(TOKENS, TOKENS, TOKENS), cents=st.tuples(CENTS, CENTS, CENTS))
def test_a_cost_is_exact_to_far_less_than_a_cent(tokens: tuple[int, int, int], cents: tuple[int, int, int]) -> None:
    price = ModelPrice(input=cents[0] / 100, output=cents[1] / 100, cached=cents[2] / 100)
    usage = Usage(input_tokens=tokens[0], output_tokens=tokens[1], cached_tokens=tokens[2])
    exact = sum(Fraction(count * rate, 10**8) for count, rate in zip(tokens, cents, strict=True))
    found = cost_of(usage, price)
    assert found is not None
    assert math.isclose(found, float(exact), rel_tol=1e-12)
