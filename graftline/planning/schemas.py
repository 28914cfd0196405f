"""JSON schemas as model providers take them where they promise that the answer will fit.

They accept a part of JSON Schema, want every property to be required, and no others to be allowed. What is lost here,
such as the least length of a text, is looked at again when the answer is validated.
"""

from collections.abc import Mapping

from pydantic import JsonValue

LEFT_OUT = frozenset(
    {"default", "title", "format", "minLength", "maxLength", "minProperties", "maxProperties", "uniqueItems"}
)
# What lies under these are names of the schema's own and the schemas that they stand for.
NAMES = frozenset({"properties", "$defs"})
# What lies under these is no schema.
VALUES = frozenset({"enum", "const", "required"})


def strict_schema(schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The schema in that form; a property that may be left out is then one whose default the model has to write."""
    if "$ref" in schema:
        kept = {key: value for key, value in schema.items() if key in {"$ref", "$defs"}}
    else:
        kept = {"anyOf" if key == "oneOf" else key: value for key, value in schema.items() if key not in LEFT_OUT}
    strict: dict[str, JsonValue] = {key: _strict(key, value) for key, value in kept.items()}
    properties = strict.get("properties")
    if isinstance(properties, dict):
        strict |= {"required": list(properties), "additionalProperties": False}
    return strict


def root_of(schema: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """What a schema says of the whole, also where it only refers to one of its own definitions."""
    name = schema.get("$ref")
    definitions = schema.get("$defs")
    if isinstance(name, str) and isinstance(definitions, dict):
        root = definitions.get(name.removeprefix("#/$defs/"))
        return root if isinstance(root, dict) else schema
    return schema


def _strict(key: str, value: JsonValue) -> JsonValue:
    if key in VALUES:
        return value
    if key in NAMES and isinstance(value, dict):
        return {name: strict_schema(each) if isinstance(each, dict) else each for name, each in value.items()}
    if isinstance(value, dict):
        return strict_schema(value)
    if isinstance(value, list):
        return [strict_schema(each) if isinstance(each, dict) else each for each in value]
    return value
