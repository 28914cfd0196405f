"""What is wrong with a plan file, in words for the person who wrote it: file, line, task, key, and what to do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from graftline.dependencies import Outline, find_faults, nearest
from graftline.errors import Problem
from graftline.plan import GRAPH_RULE, SURROGATE
from graftline.spellings.document import Document, Location, printable

# Keys known at a place: ("tasks",) for those of a task, () for those of the file.
KnownKeys = Mapping[Location, Iterable[str]]

_KINDS = {
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
}
_ID_RULE = "1 to 64 letters, digits, _ and -, and starts with a letter or digit"


def shape_problems(
    error: ValidationError, document: Document, *, known_keys: KnownKeys, spellings: Mapping[str, str]
) -> Iterator[Problem]:
    """The wrong keys, types and values that pydantic found; `spellings` are the file's own names for our keys."""
    for details in error.errors(include_url=False):
        if details["type"] == GRAPH_RULE:  # `fault_problems` says it line by line
            continue
        if details["type"] == "too_short" and details["input"]:  # pydantic leaves broken items out when it counts
            continue
        location = _as_spelt(details["loc"], spellings)
        yield Problem(
            _message(details, location, known_keys),
            document.file,
            document.line(location),
            _task_id(document.data, location),
        )


def fault_problems(document: Document) -> Iterator[Problem]:
    """The broken rules between tasks, found in whatever of the data can be read."""
    outlines = list(_outlines(document.data))
    for fault in find_faults(outlines):
        location: Location = ("tasks", fault.index, *fault.key)
        message = fault.message
        if fault.other is not None and (other_line := document.line(("tasks", fault.other, "id"))):
            message += f" (first in line {other_line})"
        yield Problem(message, document.file, document.line(location), _task_id(document.data, location))


def _outlines(data: object) -> Iterator[Outline]:
    for index, task in enumerate(_tasks(data)):
        if isinstance(task, Mapping) and isinstance(task_id := task.get("id"), str):
            yield Outline(index, task_id, _ids(task.get("depends_on")), _ids(task.get("after")))


def _ids(value: object) -> tuple[str | None, ...]:
    entries = value if isinstance(value, list | tuple) else ()
    return tuple(entry if isinstance(entry, str) else None for entry in entries)


def _tasks(data: object) -> Sequence[object]:
    tasks = data.get("tasks") if isinstance(data, Mapping) else None
    return tasks if isinstance(tasks, list | tuple) else ()


def _task_id(data: object, location: Location) -> str | None:
    match location:
        case ("tasks", int(index), *_):
            task = _tasks(data)[index]
            task_id = task.get("id") if isinstance(task, Mapping) else None
            return task_id if isinstance(task_id, str) else None
        case _:
            return None


def _as_spelt(location: Location, spellings: Mapping[str, str]) -> Location:
    """The place in the file's own keys; names inside `env` and `acceptance` are never keys of ours."""
    owner = len(_place(location)) + (1 if location[:1] == ("tasks",) else 0)
    return tuple(
        spellings.get(part, part) if position == owner and isinstance(part, str) else part
        for position, part in enumerate(location)
    )


def _place(location: Location) -> Location:
    """Whose key it is: the file's (), a task's ("tasks",) or the defaults' ("defaults",)."""
    return location[:1] if len(location) > 1 and location[0] in {"tasks", "defaults"} else ()


def _is_task(location: Location) -> bool:
    return len(location) == 2 and location[0] == "tasks"


def _message(details: ErrorDetails, location: Location, known_keys: KnownKeys) -> str:
    kind, value = details["type"], details["input"]
    key = f"`{_key(location)}`"
    match kind:
        case "missing":
            message = f"the key {key} is missing"
        case "extra_forbidden":
            message = f"unknown key {key}{nearest(str(location[-1]), known_keys[_place(location)])}"
        case "too_short" if location != ("tasks",):
            message = f"{key} is an empty list"
        case "too_short":
            message = f"{key} is an empty list; a plan has at least one task"
        case "too_long":
            message = f"{key} has more than {details['ctx']['max_length']} entries"
        case "string_too_short":
            message = f"{key} is empty"
        case "string_unicode":
            message = f"{key}: {SURROGATE}"
        case "string_pattern_mismatch":
            message = f"{key} is {_shortened(value)}; an id is {_ID_RULE}"
        case "literal_error" if location[-1] != "version":
            message = f"{key} is {_shortened(value)}; it is {details['ctx']['expected']}"
        case "literal_error":
            message = f'{key} is {value!r}; the only one known is "1", in quotes'
        case "greater_than" | "greater_than_equal":
            words = "more than" if kind == "greater_than" else "at least"
            message = f"{key} is {value!r}; it must be {words} 0"
        case _ if kind in _KINDS:
            advice = "; put it in quotes" if kind == "string_type" and isinstance(value, bool | int | float) else ""
            message = f"{key} must be {_KINDS[kind]}, not {_kind_of(value)}{advice}"
        case _ if _is_task(location):
            message = details["msg"]
        case _:
            message = f"{key}: {details['msg']}"
    return message


def _key(location: Location) -> str:
    """The key as people write it, from the task on: `writes[0]`, `env.NAME`."""
    inner = location[2:] if location[:1] == ("tasks",) and len(location) > 2 else location
    text = ""
    for part in inner:
        if part == "[key]":
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return printable(text) or "the plan"


def _kind_of(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, str):
        return f"the text {_shortened(value)}"
    kinds = {
        bool: "true or false (YAML reads yes, no, on and off so)",
        int: f"the number {value!r}",
        float: f"the number {value!r}",
        list: "a list",
        dict: "a mapping",
    }
    return kinds.get(type(value), f"a {type(value).__name__}")


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
