"""A model request in a form of no particular protocol: what was said so far and which tools are on offer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

# Each CLI tells the model where it works in words of its own; tools that want absolute paths need it.
_WORKING_DIRECTORY = re.compile(
    r"(?:<cwd>|[Ww]orking directory:\s*|working in the directory:\s*|Workspace Directories:\**\s*\n\s*-\s*)"
    r"(/[^\n<`\"']+)"
)


class Role(StrEnum):
    """Who speaks. `CONTEXT` is text a CLI adds on its own account, never a new prompt."""

    CONTEXT = "context"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True)
class Item:
    """One thing said."""

    role: Role
    text: str


class JsonSchema(BaseModel):
    """As much of a JSON schema as it takes to fill in a small instance of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str | list[str] | None = None
    properties: dict[str, "LenientSchema"] = Field(default_factory=dict)
    required: list[str] = Field(default_factory=list)
    enum: list[JsonValue] = Field(default_factory=list)
    const: JsonValue = None
    default: JsonValue = None
    any_of: list["LenientSchema"] = Field(default_factory=list, alias="anyOf")
    one_of: list["LenientSchema"] = Field(default_factory=list, alias="oneOf")

    @property
    def main_type(self) -> str:
        """The first type it allows, in lower case (Gemini shouts); an object when it does not say."""
        named = self.type[0] if isinstance(self.type, list) and self.type else self.type
        return named.lower() if isinstance(named, str) else "object"


def _permissive_if_boolean(value: object) -> object:
    """JSON schema allows `true` where any value will do."""
    return {} if isinstance(value, bool) else value


LenientSchema = Annotated[JsonSchema, BeforeValidator(_permissive_if_boolean)]
JsonSchema.model_rebuild()


def smallest_instance(schema: JsonSchema) -> JsonValue:
    """The least that satisfies a schema: required properties only, first alternatives."""
    if schema.enum:
        return schema.enum[0]
    if schema.const is not None:
        return schema.const
    if schema.default is not None:
        return schema.default
    for alternatives in (schema.any_of, schema.one_of):
        if alternatives:
            return smallest_instance(alternatives[0])
    if schema.main_type == "object":
        wanted = {name: schema.properties.get(name, JsonSchema()) for name in schema.required}
        return {name: smallest_instance(property_schema) for name, property_schema in wanted.items()}
    by_type: dict[str, JsonValue] = {"array": [], "string": "scripted", "boolean": False, "integer": 1, "number": 1}
    return by_type.get(schema.main_type)


@dataclass(frozen=True)
class Tool:
    """A tool a CLI offers. A `freeform` one takes plain text instead of arguments."""

    name: str
    schema: JsonSchema
    freeform: bool = False
    namespace: str = ""


@dataclass(frozen=True)
class ModelRequest:
    """One request for the model's next words.

    `schema` is set when the answer must be JSON of that shape, `forced_tool` when it must use that tool, `any_object`
    when it must be JSON of whatever shape. `kept` are the texts that the provider is asked to keep for later requests.
    """

    model: str
    stream: bool
    items: tuple[Item, ...]
    tools: Mapping[str, Tool]
    schema: JsonSchema | None = None
    forced_tool: str = ""
    any_object: bool = False
    max_output_tokens: int | None = None
    kept: tuple[str, ...] = ()

    @property
    def working_directory(self) -> str:
        """Where the CLI says it works, or nothing when it does not say."""
        for item in self.items:
            found = _WORKING_DIRECTORY.search(item.text) if item.role in {Role.CONTEXT, Role.USER} else None
            if found:
                return found[1].rstrip(" .,;")
        return ""
