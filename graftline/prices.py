"""Prices of models: what a call cost whose agent tells how many tokens it used, and not what they cost."""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from graftline.agents.outcome import Usage

TOKENS = 1_000_000
"""How many tokens a price is for."""
MOST_TOKENS = 2**63
"""No call uses so many: an agent that says so is mistaken, or lies."""


class ModelPrice(BaseModel):
    """[prices."MODEL"], in US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input: float = Field(ge=0, description="Tokens the model read anew")
    output: float = Field(ge=0, description="Tokens the model wrote")
    cached: float | None = Field(default=None, ge=0, description="Tokens it read from a cache; left out: as `input`")


def _is_pattern(name: str) -> str:
    if not name or "*" in name[:-1]:
        raise PydanticCustomError("model_pattern", "must be the name of a model, or its beginning and a * at the end")
    return name


ModelPattern = Annotated[str, AfterValidator(_is_pattern)]
"""The name of a model, or the beginning of names with a `*` after it."""


def find_price(model: str, prices: Mapping[str, ModelPrice]) -> ModelPrice | None:
    """The price of a model: that of its name, else that of the longest `BEGINNING*` it fits; None when there is none.

    A name without a `*` stands for itself alone, since what providers add to a name is often another model.
    """
    if model in prices:
        return prices[model]
    fitting = [name for name in prices if name.endswith("*") and model.startswith(name[:-1])]
    return prices[max(fitting, key=len)] if fitting else None


def cost_of(usage: Usage, price: ModelPrice) -> float | None:
    """What the tokens of a call cost; None when the agent did not tell, believably, how many it read and wrote."""
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_tokens or 0)
    rates = (price.input, price.output, price.input if price.cached is None else price.cached)
    known = [count for count in counts if count is not None and 0 <= count < MOST_TOKENS]
    if len(known) < len(counts):
        return None
    return math.fsum(count * rate for count, rate in zip(known, rates, strict=True)) / TOKENS
