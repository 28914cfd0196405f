"""What a call used, told from what its whole session has used."""

from dataclasses import astuple

from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.outcome import Usage

counts = st.none() | st.integers(min_value=0, max_value=10**9)
known = st.integers(min_value=0, max_value=10**9)
usages = st.builds(
    Usage, cost_usd=counts, input_tokens=counts, output_tokens=counts, cached_tokens=counts, turns=counts
)
counted = st.builds(Usage, cost_usd=known, input_tokens=known, output_tokens=known, cached_tokens=known, turns=known)


@given(total=usages, earlier=usages)
def test_use_is_never_negative_and_unknown_only_where_nothing_was_counted(total: Usage, earlier: Usage) -> None:
    for used, now in zip(astuple(total.since(earlier)), astuple(total), strict=True):
        assert used is None if now is None else 0 <= used <= now


@given(first=counted, second=counted)
def test_uses_of_a_session_add_up_to_its_total(first: Usage, second: Usage) -> None:
    total = Usage(*(a + b for a, b in zip(astuple(first), astuple(second), strict=True)))
    assert total.since(first) == second
    assert total.since(Usage()) == total


def test_count_that_began_anew_is_all_later_use() -> None:
    assert Usage(input_tokens=5, turns=7).since(Usage(input_tokens=9, turns=7)) == Usage(input_tokens=5, turns=0)
