"""Tiers: how capable an agent is said to be, from the cheapest to the most capable."""

from collections.abc import Iterable
from typing import Literal, get_args

Tier = Literal["fast", "standard", "deep"]
TIERS: tuple[Tier, ...] = get_args(Tier)


def is_deeper(tier: Tier, than: Tier) -> bool:
    """Whether a tier comes after another one."""
    return TIERS.index(tier) > TIERS.index(than)


def deepest(tiers: Iterable[Tier]) -> Tier | None:
    """The last of some tiers; None when there are none."""
    return max(tiers, key=TIERS.index, default=None)
