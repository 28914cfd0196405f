"""What is read of an answer: the one object that was meant, or a sentence that says why there is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from graftline.agents.outcome import Usage
from graftline.planning.answer import MAX_CHARS, MAX_DEPTH, MAX_OBJECTS, read_answer, read_object
from graftline.planning.provider import Message, Question

SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "tasks": {"type": "array"}},
    "required": ["title", "tasks"],
}
PLAN: dict[str, JsonValue] = {
    "title": 'A { brace, a ``` fence and a " quote',
    "tasks": [{"id": "a", "prompt": 'print({"b": "}"})\n```python\n{}\n```'}],
}
QUESTION = Question("plan", "Plan.", (Message("user", "Do it"),), SCHEMA, "plan", 1000)
WRITTEN = json.dumps(PLAN)


@pytest.mark.parametrize(
    "text",
    [
        WRITTEN,
        f"  \n{WRITTEN}\n",
        f"```json\n{json.dumps(PLAN, indent=2)}\n```",
        f'Here is the plan:\n\n```\n{WRITTEN}\n```\nIt has {{one}} task, {{"a"}}.',
        f'For {{name}} in {{ }} of {{\'x\': 1}} and {{"a", "b"}}: {WRITTEN}',
        f'An example of a task is {{"id": "x"}}.\n{WRITTEN}\nwhich replaces {{"id": "y"}}',
        f"First {WRITTEN}, and again {WRITTEN}",
        f"[{WRITTEN}]",
        WRITTEN.replace("\\n", "\n"),
        json.dumps(PLAN, ensure_ascii=False).replace("A {", "\N{SNOWMAN} {").replace("\N{SNOWMAN}", "A"),
    ],
)
def test_the_object_is_found_in_whatever_stands_around_it(text: str) -> None:
    reading = read_object(text, SCHEMA)
    assert (reading.data, reading.problem) == (PLAN, "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no JSON object"),
        ("I cannot plan that {yet}.", "there is no JSON object"),
        (WRITTEN[:-1], "is cut off"),
        (WRITTEN[:40], "is cut off"),
        (WRITTEN[: WRITTEN.index("{}") + 1], "is cut off"),
        (f"{WRITTEN[:-2]},", "is cut off"),
        (WRITTEN.replace("]}", ",]}"), "is broken"),
        (WRITTEN.replace('"tasks":', "tasks:"), "is broken"),
        (WRITTEN.replace('": [', '" [') + '{"id": 1}', "is broken"),
        (f'{WRITTEN} or rather {{"title": "B", "tasks": []}}', "2 different JSON objects that fit"),
        ('{"id": 1} {"id": 2}', "none of the 2 JSON objects in the answer has all of: title, tasks"),
        (WRITTEN.replace('"a"', "NaN"), "NaN"),
        (WRITTEN.replace('"a"', "-Infinity"), "-Infinity"),
        (WRITTEN.replace('"a"', "1e999"), "1e999"),
        (WRITTEN.replace('"a"', '"\\ud800"'), "half a character"),
        (WRITTEN.replace('"id"', '"\\udfff"'), "half a character"),
        (WRITTEN.replace('{"id"', '{"id": "b", "id"'), "the key 'id' twice"),
    ],
)
def test_what_is_not_one_whole_object_is_a_problem_and_never_a_guess(text: str, problem: str) -> None:
    reading = read_object(text, SCHEMA)
    assert reading.data is None
    assert problem in reading.problem
    assert len(reading.problem) < 300


HOSTILE = {
    "a list in a list": (WRITTEN.replace('"a"', "[" * MAX_DEPTH + "]" * MAX_DEPTH), "levels deep"),
    "objects deeper than any stack": ('{"a":' * 100_000, "levels deep"),
    "lists deeper than any stack": ('{"title": ' + "[" * 100_000, "levels deep"),
    "a number of 5000 digits": (WRITTEN.replace('"a"', "9" * 5000), "a number that is too long"),
    "more objects than are looked at": ("".join(f'{{"b": {n}}}' for n in range(MAX_OBJECTS + 1)), "give only one"),
    "braces and quotes": ('{"' * 100_000, "give only one"),
    "braces and keys": ('{"a" ' * 100_000, "give only one"),
    "braces alone": ("{" * 3_000_000, "there is no JSON object"),
    "a text without an end": ('{"a": "' + "x" * MAX_CHARS, "characters, more than"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_a_problem_like_any_other(name: str) -> None:
    text, problem = HOSTILE[name]
    reading = read_object(text, SCHEMA)
    assert reading.data is None
    assert problem in reading.problem
    assert len(reading.problem) < 300


def test_the_only_object_is_handed_on_with_what_is_missing_for_its_validation_to_say() -> None:
    assert read_object('Well: {"title": "no tasks"}', SCHEMA).data == {"title": "no tasks"}


def test_an_answer_that_was_cut_off_or_refused_has_no_data_whatever_it_holds() -> None:
    cut = read_answer(QUESTION, WRITTEN, stop="length", usage=Usage(output_tokens=1000), model="m")
    assert (cut.data, cut.text, cut.usage.output_tokens) == (None, WRITTEN, 1000)
    assert "limit of 1000 tokens" in cut.problem
    refused = read_answer(QUESTION, "I will\x1b[31m not", stop="refused", usage=Usage(), model="m")
    assert (refused.data, refused.problem) == (None, "the model would not answer: I will not")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
plans = st.fixed_dictionaries({"title": st.text(), "tasks": st.lists(json_values, max_size=4)})
prose = st.text(st.characters(codec="utf-8", exclude_characters="{"), max_size=60)


@given(plan=plans, before=prose, after=prose, indent=st.sampled_from([None, 2]))
def test_any_object_is_read_back_as_it_was_written(
    plan: dict[str, JsonValue], before: str, after: str, indent: int | None
) -> None:
    text = f"{before}```json\n{json.dumps(plan, indent=indent)}\n```{after}"
    assert read_object(text, SCHEMA).data == plan


@given(plan=plans, data=st.data())
def test_no_beginning_of_an_object_is_taken_for_it(plan: dict[str, JsonValue], data: st.DataObject) -> None:
    whole = json.dumps(plan)
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    reading = read_object(f"Here: {part}", SCHEMA)
    assert reading.data is None
    assert reading.problem


@given(st.text(st.sampled_from('{}[]",:\\ \n`ab1-.eE\ud800\u2028')))
def test_no_text_is_too_strange_to_be_read(text: str) -> None:
    reading = read_object(text, SCHEMA)
    assert (reading.data is None) == bool(reading.problem)
