"""What is different between two plans, for people: in the terminal, the journal, a form and a Markdown page."""

from collections.abc import Iterator, Mapping
from typing import Final

from graftline.plan import Plan, TaskSpec
from graftline.text import fenced, plain_line

TITLE_CHARACTERS: Final = 100
VALUE_CHARACTERS: Final = 300
SHOWN_OF_A_NEW_TASK: Final = ("depends_on", "after", "writes", "agent", "tier", "size", "tests")
MOST_MARKDOWN_CHARACTERS: Final = 20_000


def describe_patch(before: Plan, after: Plan) -> tuple[str, ...]:
    """A line for each difference; none when the plans are the same.

    `- id: title` is a task that is gone, `+ id: title` a new one, `~ id: key: old -> new` one that changed.
    """
    return tuple(_differences(before, after))


def diff_markdown(reason: str, lines: tuple[str, ...]) -> str:
    """The same as a part of a Markdown page, with the reason for the change."""
    shown = "\n".join(lines)
    return f"{plain_line(reason, VALUE_CHARACTERS)}\n\n{fenced(shown, MOST_MARKDOWN_CHARACTERS)}\n"


def _differences(before: Plan, after: Plan) -> Iterator[str]:
    old, new = ({task.id: task for task in plan.tasks} for plan in (before, after))
    if before.title != after.title:
        yield f"~ title: {_shown(before.title)} -> {_shown(after.title)}"
    if before.description != after.description:
        yield "~ another description"
    yield from (f"- {_named(task)}" for task in before.tasks if task.id not in new)
    for task in after.tasks:
        if task.id not in old:
            yield f"+ {'; '.join([_named(task), *_facts(task)])}"
        elif changes := "; ".join(_changes(old[task.id], task)):
            yield f"~ {task.id}: {changes}"
    if [task for task in old if task in new] != [task for task in new if task in old]:
        yield "~ another order of the tasks"


def _named(task: TaskSpec) -> str:
    return f"{task.id}: {plain_line(task.title, TITLE_CHARACTERS)}" if task.title else task.id


def _facts(task: TaskSpec) -> Iterator[str]:
    for key in SHOWN_OF_A_NEW_TASK:
        if value := getattr(task, key):
            yield f"{key}: {_shown(value)}"
    if task.read_only:
        yield "read_only"
    if task.acceptance:
        yield f"acceptance: {_shown(tuple(task.acceptance))}"


def _changes(old: TaskSpec, new: TaskSpec) -> Iterator[str]:
    for key in TaskSpec.model_fields:
        one, other = getattr(old, key), getattr(new, key)
        if one == other:
            continue
        match key:
            case "prompt":
                yield "another prompt"
            case "acceptance" | "env":
                yield f"{key}: {_shown(tuple(_of_mapping(one, other)))}"
            case _:
                yield f"{key}: {_shown(one)} -> {_shown(other)}"


def _of_mapping(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    yield from (f"-{name}" for name in old if name not in new)
    yield from (f"+{name}" for name in new if name not in old)
    yield from (f"{name} changed" for name in new if name in old and new[name] != old[name])


def _shown(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
    return plain_line(text, VALUE_CHARACTERS) or "nothing"
