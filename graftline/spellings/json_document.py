"""JSON text as a document."""

import json
from bisect import bisect_right
from json import JSONDecodeError, JSONDecoder
from typing import Never

from graftline.errors import Problem
from graftline.spellings.document import DEEPEST_NESTING, Document, Location, refuse

_SPACE = " \t\n\r"


def read_json(text: str, *, file: str) -> Document:
    """Read one JSON document; a duplicate key is a problem. Raises ManifestError when the text is no JSON."""
    try:
        json.loads(text, parse_constant=_refuse_constant)
        return _JsonReader(text, file).read()
    except JSONDecodeError as error:
        message = "there is nothing in here" if not text.strip() else f"this is not valid JSON: {error.msg}"
        refuse(message, file, error.lineno, error)
    except ValueError as error:
        refuse(f"this is not valid JSON: {error}", file, 1, error)
    except RecursionError as error:
        refuse("this is nested too deeply", file, 1, error)


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON value")


class _JsonReader:
    """Walks over text that is known to be JSON, only to learn lines and duplicate keys; `json` decodes every value."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._newlines = [position for position, character in enumerate(text) if character == "\n"]
        self._lines: dict[Location, int] = {}
        self._problems: list[Problem] = []
        self._decoder = JSONDecoder()

    def read(self) -> Document:
        start = self._skip(0)
        self._lines[()] = self._line(start)
        data, _ = self._value(start, ())
        return Document(data, self._file, self._lines, tuple(self._problems))

    def _line(self, position: int) -> int:
        return bisect_right(self._newlines, position) + 1

    def _skip(self, position: int, also: str = "") -> int:
        while position < len(self._text) and self._text[position] in _SPACE + also:
            position += 1
        return position

    def _value(self, position: int, location: Location) -> tuple[object, int]:
        if len(location) > DEEPEST_NESTING:
            refuse("this is nested too deeply", self._file, self._line(position))
        match self._text[position]:
            case "{":
                return self._object(position, location)
            case "[":
                return self._array(position, location)
            case _:
                value: object
                value, end = self._decoder.raw_decode(self._text, position)
                return value, end

    def _object(self, position: int, location: Location) -> tuple[dict[str, object], int]:
        found: dict[str, object] = {}
        position = self._skip(position + 1)
        while self._text[position] != "}":
            line = self._line(position)
            name, position = self._decoder.raw_decode(self._text, position)
            key = str(name)
            position = self._skip(position, also=":")
            if key in found:
                first = self._lines[*location, key]
                self._problems.append(
                    Problem(f"the key {key!r} is given twice (first in line {first})", self._file, line)
                )
                _, position = self._decoder.raw_decode(self._text, position)
            else:
                self._lines[*location, key] = line
                found[key], position = self._value(position, (*location, key))
            position = self._skip(position, also=",")
        return found, position + 1

    def _array(self, position: int, location: Location) -> tuple[list[object], int]:
        items: list[object] = []
        position = self._skip(position + 1)
        while self._text[position] != "]":
            self._lines[*location, len(items)] = self._line(position)
            item, position = self._value(position, (*location, len(items)))
            items.append(item)
            position = self._skip(position, also=",")
        return items, position + 1
