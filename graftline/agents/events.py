"""What the event models of all agent CLIs share: foreign JSON, read line by line and believed as far as it fits.

Unknown events and fields are skipped, so that a newer CLI does not break an older graftline.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator


def _or_unknown(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """A field of another shape than we know is unknown; it must not hide the verdict beside it."""
    try:
        return validate(value)
    except ValidationError:
        return None


Unsure = WrapValidator(_or_unknown)
"""Marks a field, which allows None, whose value may be of a shape we do not know."""
Count = Annotated[int, Field(ge=0)]
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Event(BaseModel):
    """One line of a stream."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def read_event(line: str, models: Mapping[object, type[Event]]) -> Event | None:
    """The event on a line by its `type`, or None when it is none, is broken, or is of no use to us."""
    return build_event(read_object(line), models, "type")


def read_object(line: str) -> dict[str, Any]:
    """The JSON object on a line; empty when there is none."""
    if not line.startswith("{"):
        return {}
    try:
        # Any: foreign JSON, given a type by the models.
        found: dict[str, Any] = pydantic_core.from_json(line)
    except ValueError:
        return {}
    return found


def build_event(found: Mapping[str, Any], models: Mapping[object, type[Event]], key: str) -> Event | None:
    """The event that an object is, by the model for the value of `key`; None when there is no such model."""
    try:
        model = models.get(found.get(key))
        return None if model is None else model.model_validate(found)
    except (ValueError, TypeError):  # a shape we do not know, a type that is a list
        return None
