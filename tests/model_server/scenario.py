"""What the scripted model says and does: the scenario file, as frozen models.

A script holds scenarios; a scenario answers one kind of prompt, turn by turn; a turn says something, uses tools in a
spelling of no particular CLI, or fails in a chosen way. The folder's README shows the file format.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

_STRINGS_BY_KIND = {"bash": "command", "read": "path"}
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WriteFile(_Model):
    """Write a whole file; `overwrite` says that it exists, which some CLIs let happen only after a read."""

    kind: Literal["write"] = "write"
    path: str
    content: str
    overwrite: bool = False


class EditFile(_Model):
    """Replace one piece of an existing file."""

    kind: Literal["edit"] = "edit"
    path: str
    old: str
    new: str


class ReadFile(_Model):
    """Read a file."""

    kind: Literal["read"] = "read"
    path: str


class RunShell(_Model):
    """Run a shell command in the agent's working directory."""

    kind: Literal["bash"] = "bash"
    command: str


class UseTool(_Model):
    """Use one of the CLI's own tools by its own name, as it is."""

    kind: Literal["raw"] = "raw"
    name: str
    input: dict[str, JsonValue] = Field(default_factory=dict)


def _unfold_step(value: object) -> object:
    """Read `{bash: "make"}` or `{write: {path: ..., content: ...}}` as the model of that kind."""
    if not isinstance(value, Mapping) or "kind" in value:
        return value
    if len(value) != 1:
        raise ValueError(f"a step has exactly one key (write, edit, read, bash or raw), this one has {list(value)}")
    [(kind, arguments)] = value.items()
    if isinstance(arguments, str) and kind in _STRINGS_BY_KIND:
        return {"kind": kind, _STRINGS_BY_KIND[kind]: arguments}
    if not isinstance(arguments, Mapping):
        raise ValueError(f"step {kind!r}: expected its fields as a mapping, got {arguments!r}")  # noqa: TRY004 - pydantic collects ValueErrors only
    return {"kind": kind, **arguments}


Step = Annotated[
    Annotated[WriteFile | EditFile | ReadFile | RunShell | UseTool, Field(discriminator="kind")],
    BeforeValidator(_unfold_step),
]


Stop = Literal["end", "length", "refused"]
"""Why an answer ends: it is complete, it has reached the limit on its length, or the model will not go on."""


class FailureKind(StrEnum):
    """An error a provider answers with; each protocol spells it in its own way."""

    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    SERVER = "server"
    AUTH = "auth"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    CONTEXT = "context"
    CREDIT = "credit"
    QUOTA = "quota"
    SCHEMA = "schema"
    BAD_REQUEST = "bad_request"


class TokenUsage(_Model):
    """What the answer says it used; a CLI that knows the model's price works out the cost from it.

    Whatever the protocol: what was read from a cache, or written to one, is not among the `input_tokens`.
    """

    input_tokens: int = Field(default=1000, ge=0)
    output_tokens: int = Field(default=50, ge=0)
    cache_read_tokens: int = Field(default=0, ge=0)
    cache_write_tokens: int = Field(default=0, ge=0)

    @property
    def prompt_tokens(self) -> int:
        """All that went in, which is what OpenAI and Google count as input."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


class Turn(_Model):
    """One answer of the model. At most one of `error`, `stream_error`, `drop` and `hang`, the turn's fault."""

    text: str = ""
    tools: tuple[Step, ...] = ()
    structured: JsonValue = None
    stop: Stop = "end"
    usage: TokenUsage = TokenUsage()
    error: FailureKind | None = None
    stream_error: FailureKind | None = None
    drop: bool = False
    hang: bool = False
    times: int | None = Field(default=None, ge=1)
    retry_after_seconds: int | None = Field(default=None, ge=0)
    error_message: str = ""
    delay_seconds: float = Field(default=0, ge=0)
    hold: str = ""

    @property
    def has_fault(self) -> bool:
        """Whether the turn fails, at least at first."""
        return bool(self.error or self.stream_error or self.drop or self.hang)

    @model_validator(mode="after")
    def _fault_is_one_and_complete(self) -> Self:
        if (self.error, self.stream_error, self.drop or None, self.hang or None).count(None) < 3:
            raise ValueError("a turn has one fault: error, stream_error, drop or hang")
        if self.times is not None and not self.has_fault:
            raise ValueError("times says how often a fault strikes, and this turn has none")
        if self.stop != "end" and self.tools:
            raise ValueError("an answer that is cut off or refused uses no tools")
        if (self.retry_after_seconds is not None or self.error_message) and self.error is None:
            raise ValueError("retry_after_seconds and error_message belong to an error, and this turn has none")
        return self


class PromptPattern(_Model):
    """Matches a prompt by a regular expression; its groups can be used in the turns as `${name}` or `${1}`."""

    regex: str

    @model_validator(mode="after")
    def _regex_compiles(self) -> Self:
        try:
            re.compile(self.regex)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return self


class Scenario(_Model):
    """The turns that answer the prompts it matches; after the last one, the script's `default` answers."""

    match: Annotated[str, Field(min_length=1)] | PromptPattern
    model: str = ""
    without_tools: bool = False
    turns: tuple[Turn, ...] = Field(min_length=1)

    @property
    def name(self) -> str:
        """What the request log calls it."""
        return self.match if isinstance(self.match, str) else self.match.regex


class Script(_Model):
    """A whole scenario file; of several scenarios that match, the first one answers."""

    scenarios: tuple[Scenario, ...] = ()
    default: Turn = Turn(text="ok")


def load_script(source: str | Mapping[str, object]) -> Script:
    """Read a script from YAML (or JSON, which is YAML) text or its parsed form."""
    return Script.model_validate(yaml.safe_load(source) if isinstance(source, str) else source)


_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


def fill_placeholders(turn: Turn, values: Mapping[str, str]) -> Turn:
    """The turn with `${name}` replaced by `values["name"]` in every text; unknown names stay as they are."""

    def fill(value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), value)
        if isinstance(value, list):
            return [fill(item) for item in value]
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        return value

    return Turn.model_validate(fill(_JSON.validate_python(turn.model_dump(mode="json"))))
