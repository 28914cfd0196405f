"""An interval in which a figure is expected to lie."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Interval(BaseModel):
    """From `low` to `high`, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float = Field(ge=0)
    high: float = Field(ge=0)

    def holds(self, value: float) -> bool:
        """Whether a figure lies in it."""
        return self.low <= value <= self.high

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("the low end of an interval must not be above its high end")
        return self
