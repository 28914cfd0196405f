"""Schemas in the form that providers hold a model to: all is required, nothing else allowed, and no name is lost."""

from collections.abc import Iterator

from anthropic import transform_schema
from pydantic import JsonValue

from graftline.planning.draft import Draft
from graftline.planning.schemas import LEFT_OUT, root_of, strict_schema


def schemas_in(schema: JsonValue) -> Iterator[dict[str, JsonValue]]:
    """A schema and all that it is made of."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key in ("properties", "$defs"):
        named = schema.get(key)
        for each in named.values() if isinstance(named, dict) else ():
            yield from schemas_in(each)
    alternatives = schema.get("anyOf")
    for each in (*(alternatives if isinstance(alternatives, list) else ()), schema.get("items")):
        yield from schemas_in(each)


def test_every_object_of_a_plan_is_closed_and_complete() -> None:
    plan = Draft.model_json_schema()
    strict = strict_schema(plan)
    objects = [each for each in schemas_in(strict) if "properties" in each]
    assert len(objects) > 3
    for each in objects:
        properties = each["properties"]
        assert isinstance(properties, dict)
        assert (each["required"], each["additionalProperties"]) == (list(properties), False)
    assert not [each for each in schemas_in(strict) if LEFT_OUT & each.keys()]
    assert transform_schema(strict)["$defs"].keys() == plan["$defs"].keys(), "Anthropic's library takes it"


def test_only_keywords_are_left_out_and_never_names_or_values() -> None:
    schema: dict[str, JsonValue] = {
        "$ref": "#/$defs/default",
        "description": "beside a reference nothing is allowed",
        "$defs": {
            "default": {
                "title": "Default",
                "type": "object",
                "properties": {
                    "title": {"type": "string", "minLength": 1, "default": "x"},
                    "format": {"enum": ["title", {"default": 1}]},
                    "either": {"oneOf": [{"type": "null"}, {"type": "object", "properties": {}}]},
                    "whatever": True,
                },
                "required": ["title"],
            }
        },
    }
    default: dict[str, JsonValue] = {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "format": {"enum": ["title", {"default": 1}]},
            "either": {
                "anyOf": [
                    {"type": "null"},
                    {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
                ]
            },
            "whatever": True,
        },
        "required": ["title", "format", "either", "whatever"],
        "additionalProperties": False,
    }
    assert strict_schema(schema) == {"$ref": "#/$defs/default", "$defs": {"default": default}}
    assert root_of(schema)["required"] == ["title"]
