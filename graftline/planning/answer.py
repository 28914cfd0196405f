"""Reads the JSON object in what a model said: in a fence, with prose around it, whatever is in its strings.

Nothing is repaired. What is cut off, broken or could be one of several objects is a problem that goes back to the
model: another answer costs less than a plan that it did not mean.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from graftline.agents.outcome import Usage
from graftline.planning.provider import Answer, Question, Stop
from graftline.planning.schemas import root_of
from graftline.text import plain_line, whole_characters

MAX_CHARS = 4_000_000
MAX_DEPTH = 32
MAX_OBJECTS = 1_000
SAID_CHARS = 300
TOO_DEEP = f"the JSON object in the answer is nested more than {MAX_DEPTH} levels deep"
# A brace in prose or in code has something else after it, for the most part.
_BEGIN = re.compile(r'\{\s*["}]')
_REST = re.compile(r"\S")


@dataclass(frozen=True)
class Reading:
    """The object that was found, or why there is none."""

    data: dict[str, JsonValue] | None = None
    problem: str = ""


class _UnreadableError(ValueError):
    """JSON that is well-formed and says what cannot be: a key twice, a number that is none."""


def read_answer(question: Question, text: str, *, stop: Stop, usage: Usage, model: str, version: str = "") -> Answer:
    """What a model answered, from all that it said and why it stopped."""
    if stop == "refused":
        why = plain_line(text, SAID_CHARS)
        reading = Reading(problem=f"the model would not answer{f': {why}' if why else ''}")
    elif stop == "length":
        reading = Reading(
            problem=f"the answer was cut off at its limit of {question.max_output_tokens} tokens: give a shorter one"
        )
    else:
        reading = read_object(text, question.schema)
    # A megabyte of nonsense would go back to the model with the question, and be paid for.
    said = whole_characters(text[:MAX_CHARS])
    return Answer(reading.data, said, stop, usage, whole_characters(model), version, reading.problem)


def read_object(text: str, schema: Mapping[str, JsonValue]) -> Reading:
    """The JSON object of a schema in a text; of several, the only one that has all that the schema requires."""
    if len(text) > MAX_CHARS:
        return Reading(problem=f"the answer has {len(text)} characters, more than {MAX_CHARS}: give a shorter one")
    found: list[dict[str, JsonValue]] = []
    broken = ""
    for count, one in enumerate(_objects(text)):
        if count == MAX_OBJECTS:
            return Reading(problem=f"the answer holds more than {MAX_OBJECTS} JSON objects: give only one")
        if isinstance(one, str):
            broken = broken or one
        elif one not in found:
            found.append(one)
    fitting = [one for one in found if _fits(one, schema)]
    if len(fitting) == 1:
        return Reading(fitting[0])
    if len(fitting) > 1:
        return Reading(problem=f"the answer holds {len(fitting)} different JSON objects that fit: give only one")
    if broken:
        return Reading(problem=broken)
    if len(found) == 1:
        return Reading(found[0])  # what is wrong with it is for whoever validates it to say, all at once
    if found:
        return Reading(problem=f"none of the {len(found)} JSON objects in the answer {_wanted(schema)}")
    return Reading(problem="there is no JSON object in the answer")


def _objects(text: str) -> Iterator[dict[str, JsonValue] | str]:
    """The outermost JSON objects in a text, in order, and what is wrong where one begins and does not come to its end.

    After an error the search goes on behind it: an object within one that is cut off is not what was meant.
    """
    decoder = json.JSONDecoder(
        strict=False,  # a line end within a string is what models write, and cannot mean anything else
        parse_float=_finite,
        parse_constant=_no_constant,
        object_pairs_hook=_unique,
    )
    begin = _BEGIN.search(text)
    while begin is not None:
        try:
            found, end = decoder.raw_decode(text, begin.start())
            _check_shape(found)
            yield found
        except json.JSONDecodeError as error:
            end = error.pos
            if error.msg.startswith("Unterminated string") or not _REST.search(text, end):
                yield "the JSON object in the answer is cut off: it does not come to its end"
                return
            yield f"the JSON object in the answer is broken: {error.msg}, line {error.lineno} column {error.colno}"
        except RecursionError:
            yield TOO_DEEP
            return
        except _UnreadableError as error:
            yield str(error)
            return
        except ValueError:  # Python reads no number of thousands of digits
            yield "the JSON object in the answer holds a number that is too long"
            return
        begin = _BEGIN.search(text, end)


def _fits(found: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]) -> bool:
    required = root_of(schema).get("required")
    return all(key in found for key in required) if isinstance(required, list) else True


def _wanted(schema: Mapping[str, JsonValue]) -> str:
    required = root_of(schema).get("required")
    return f"has all of: {', '.join(map(str, required))}" if isinstance(required, list) else "fits"


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise _UnreadableError(f"the JSON object in the answer holds {plain_line(number, 40)}, which no number can be")
    return value


def _no_constant(name: str) -> float:
    raise _UnreadableError(f"the JSON object in the answer holds {name}, which is not JSON")


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(key, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise _UnreadableError(f"the JSON object in the answer has the key {plain_line(key, 40)!r} twice")
    return found


def _check_shape(found: JsonValue) -> None:
    """Refuse what is nested too deep to work with, which is found out without calls that are nested as deep."""
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [below for value in level for below in _within(value)]
        if not level:
            break
    else:
        raise _UnreadableError(TOO_DEEP)
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # it can be written in JSON, and into no file afterwards
        raise _UnreadableError("the JSON object in the answer holds half a character, a lone surrogate") from error


def _within(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
