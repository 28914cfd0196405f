"""Where settings are read from: graftline.toml, `GRAFTLINE_*` variables and overrides, each as layers.

A layer remembers where each of its keys was written, so that errors and `graftline config` can name the place. Every
variable is a layer of its own: pydantic-settings knows how a variable is spelt and parsed, but not which one a value
came from.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pydantic import BaseModel
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings import SettingsError as UnparsableVariableError

Key = tuple[str, ...]

FILE_NAME = "graftline.toml"
PREFIX = "GRAFTLINE_"
DELIMITER = "__"
# The state directory is not a setting of a run, and facts for agents are in our own environment when an agent
# starts graftline.
STATE_DIR_VARIABLE = "GRAFTLINE_STATE_DIR"
FACT_PREFIX = "GRAFTLINE_TASK_"


@dataclass(frozen=True)
class Layer:
    """Values of one place; `lines` knows where in a file its keys and tables stand."""

    values: Mapping[str, object]
    origin: str
    place: str
    lines: Mapping[Key, int] = field(default_factory=dict)

    def place_of(self, key: Key) -> str:
        """Name the place of a key, with the line where one is known."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.lines:
                return f"{self.place}:{self.lines[key[:length]]}"
        return self.place


def read_file(folder: Path | None) -> tuple[list[Layer], list[str]]:
    """Read graftline.toml of a folder: the layer, if there is such a file, and the problems met."""
    if folder is None:
        return [], []
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return [], []
    except (OSError, UnicodeDecodeError) as error:
        reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({error.strerror})"
        return [], [f"{path}: {reason}"]
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [], [f"{path}{_place_in_toml(str(error), text)}"]
    return [Layer(values, FILE_NAME, str(path), _lines_of_keys(text))], []


def _place_in_toml(message: str, text: str) -> str:
    """Turn "…, (at line 3, column 5)" into ":3: …", which editors can jump to."""
    sentence, _, place = message.rpartition(" (at ")
    if place.startswith("end of document"):
        return f":{text.count(chr(10)) + 1}: {sentence}"
    line = place.removeprefix("line ").partition(",")[0]
    return f":{line}: {sentence}" if line.isdecimal() else f": {message}"


def _lines_of_keys(text: str) -> dict[Key, int]:
    """Find the lines of tables and keys; tomllib does not tell them.

    Text inside a multi-line string that looks like one of them can mislead it, and with it the line in a message.
    """
    lines: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            key = table = _parse_key(stripped) or table
        else:
            name, equals, _ = stripped.partition("=")
            inner = _parse_key(f"{name} = 0") if equals else ()
            key = (*table, *inner) if inner else ()
        if key:
            lines.setdefault(key, number)
    return lines


def _parse_key(fragment: str) -> Key:
    """Read the dotted and quoted key of a `[table]` or `key = 0`; () when it is neither."""
    try:
        level: object = tomllib.loads(fragment)
    except tomllib.TOMLDecodeError:
        return ()
    key: list[str] = []
    while isinstance(level, Mapping) and level:
        name, level = next(iter(level.items()))
        key.append(name)
    return tuple(key)


def _holds(values: Mapping[str, object], key: Key) -> bool:
    level: object = values
    for name in key:
        if not isinstance(level, Mapping) or name not in level:
            return False
        level = level[name]
    return True


class _OneVariable(EnvSettingsSource):
    """Reads a single variable the way pydantic-settings reads all of them."""

    def __init__(self, model: type[BaseModel], name: str, value: str) -> None:
        self._variable: dict[str, str | None] = {name.lower(): value}
        super().__init__(
            # A source reads nothing of the class but its fields and its configuration; a real BaseSettings would
            # read the process's environment whenever somebody builds one.
            cast("type[BaseSettings]", model),
            case_sensitive=False,
            env_prefix=PREFIX,
            env_nested_delimiter=DELIMITER,
        )

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._variable


def read_environment(model: type[BaseModel], environ: Mapping[str, str]) -> tuple[list[Layer], list[str]]:
    """Read the variables that are settings, less specific ones first, and the problems met.

    A variable whose first part names no section yields a layer with that name as its key, so that validation refuses
    it like any other unknown key.
    """
    layers: list[Layer] = []
    problems: list[str] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == STATE_DIR_VARIABLE or name.startswith(FACT_PREFIX):
            continue
        try:
            values = _OneVariable(model, name, environ[name])()
        except UnparsableVariableError:
            problems.append(f'{name}: must be JSON, such as ["uv", "sync"] for a list or {{"a": 1}} for a table')
            continue
        unknown = {name.removeprefix(PREFIX).partition(DELIMITER)[0].lower(): environ[name]}
        layers.append(Layer(values or unknown, name, name))
    return layers, problems


def read_overrides(overrides: Mapping[str, object], origins: Mapping[str, str]) -> list[Layer]:
    """Make a layer of every override; a dotted key becomes nested tables."""
    layers: list[Layer] = []
    for dotted, value in overrides.items():
        *tables, last = dotted.split(".")
        values: dict[str, object] = {last: value}
        for name in reversed(tables):
            values = {name: values}
        origin = origins.get(dotted, "override")
        layers.append(Layer(values, origin, origin))
    return layers


def merge(layers: Sequence[Layer]) -> dict[str, object]:
    """Lay the layers over one another, later ones winning; tables merge, lists and values are replaced."""
    merged: dict[str, object] = {}
    for layer in layers:
        merged = _overlay(merged, layer.values)
    return merged


def _overlay(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    result = dict(below)
    for name, value in above.items():
        lower = result.get(name)
        if isinstance(lower, Mapping) and isinstance(value, Mapping):
            result[name] = _overlay(lower, value)
        else:
            result[name] = value
    return result


def leaves(values: Mapping[str, object], above: Key = ()) -> Iterator[Key]:
    """Yield the key of every value that is not a table, and of every empty table."""
    for name, value in values.items():
        key = (*above, name)
        if isinstance(value, Mapping) and value:
            yield from leaves(value, key)
        else:
            yield key


def origin_of(key: Key, layers: Sequence[Layer]) -> str:
    """Name what set a key last: "default" when nothing did."""
    for layer in reversed(layers):
        if any(key[: len(written)] == written for written in leaves(layer.values)):
            return layer.origin
    return "default"


def place_of(key: Key, layers: Sequence[Layer]) -> str:
    """Name where a key, or else the nearest table around it, was written last; "" when nowhere."""
    for length in range(len(key), 0, -1):
        for layer in reversed(layers):
            if _holds(layer.values, key[:length]):
                return layer.place_of(key)
    return ""
