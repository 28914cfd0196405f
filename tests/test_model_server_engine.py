"""Which turn a request gets: decided by the conversation in it, never by what the server saw before."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model_server.conversation import Item, JsonSchema, ModelRequest, Role, Tool, smallest_instance
from tests.model_server.engine import Engine, answers_given
from tests.model_server.scenario import load_script
from tests.model_server.tools import NoSuchToolError

SHELL = {"Bash": Tool("Bash", JsonSchema(properties={"command": JsonSchema(type="string")}, required=["command"]))}
SCRIPT = """
scenarios:
  - match: {regex: "TASK-(?P<name>[a-z]+)"}
    turns: [{text: "first ${name}"}, {text: second}, {text: third}]
default: {text: nothing more}
"""


def a_request(*said: tuple[Role, str], tools: dict[str, Tool] | None = None, model: str = "m") -> ModelRequest:
    """A request that offers a shell, unless told otherwise."""
    items = tuple(Item(role, text) for role, text in said)
    return ModelRequest(model=model, stream=True, items=items, tools=SHELL if tools is None else tools)


def text_of(script: str, *said: tuple[Role, str]) -> str:
    """What a fresh engine answers."""
    return Engine(load_script(script)).decide(a_request(*said), "").reply.text


def test_the_turn_is_the_number_of_answers_since_the_prompt() -> None:
    prompt, answer, result = (Role.USER, "do TASK-a"), (Role.ASSISTANT, "well"), (Role.TOOL, "fine")

    assert text_of(SCRIPT, prompt) == "first a"
    assert text_of(SCRIPT, prompt, answer, result) == "second"
    assert text_of(SCRIPT, prompt, answer, result, answer, result) == "third"
    assert text_of(SCRIPT, prompt, *[answer, result] * 3) == "nothing more"


def test_an_answer_in_several_items_counts_once() -> None:
    assert text_of(SCRIPT, (Role.USER, "TASK-a"), (Role.ASSISTANT, "text"), (Role.ASSISTANT, "call")) == "second"


def test_the_latest_prompt_decides_and_starts_anew() -> None:
    first_task = [(Role.USER, "TASK-a"), (Role.ASSISTANT, "done")]

    assert text_of(SCRIPT, *first_task, (Role.USER, "TASK-b")) == "first b"
    assert text_of(SCRIPT, *first_task, (Role.USER, "thanks")) == "second"


def test_text_a_cli_adds_is_never_a_prompt() -> None:
    said = [(Role.USER, "TASK-a"), (Role.ASSISTANT, "x"), (Role.TOOL, "y"), (Role.CONTEXT, "reminder of TASK-b")]

    assert text_of(SCRIPT, *said) == "second"


@given(rounds=st.integers(0, 6), before=st.integers(0, 3), parts=st.integers(1, 3))
def test_turns_are_counted_alike_however_answers_are_cut_up(rounds: int, before: int, parts: int) -> None:
    answer = [Item(Role.ASSISTANT, "part")] * parts
    items = [*([Item(Role.CONTEXT, "c")] * before), *([*answer, Item(Role.TOOL, "r")] * rounds)]

    assert answers_given(items) == rounds


def test_the_first_scenario_that_matches_answers_and_a_model_can_narrow_it() -> None:
    engine = Engine(
        load_script(
            "scenarios: [{match: T, model: small, turns: [{text: small}]}, {match: T, turns: [{text: any}]},"
            " {match: T, turns: [{text: never}]}]"
        )
    )

    assert engine.decide(a_request((Role.USER, "T"), model="a-small-one"), "").reply.text == "small"
    assert engine.decide(a_request((Role.USER, "T"), model="large"), "").reply.text == "any"


def test_a_side_request_plays_no_turn_and_uses_up_no_fault() -> None:
    engine = Engine(load_script("scenarios: [{match: T, turns: [{error: server, times: 1, text: done}]}]"))
    prompt = (Role.USER, "A title for: T")
    schema = JsonSchema(properties={"title": JsonSchema(type="string")}, required=["title"])

    side = engine.decide(a_request(prompt, tools={}), "")
    shaped = engine.decide(ModelRequest("m", stream=True, items=(Item(*prompt),), tools={}, schema=schema), "")

    assert (side.reply.text, side.scenario, side.faulty) == ("ok", "", False)
    assert json.loads(shaped.reply.text) == {"title": "scripted"}
    assert engine.decide(a_request(prompt), "").faulty


def test_a_scenario_can_answer_prompts_that_come_without_tools() -> None:
    engine = Engine(load_script("scenarios: [{match: T, without_tools: true, turns: [{structured: {a: 1}}]}]"))

    assert json.loads(engine.decide(a_request((Role.USER, "T"), tools={}), "").reply.text) == {"a": 1}


def test_structured_output_goes_through_the_tool_the_request_forces() -> None:
    engine = Engine(load_script("scenarios: [{match: T, turns: [{structured: {a: 1}}]}]"))
    items = (Item(Role.USER, "T"),)

    reply = engine.decide(ModelRequest("m", stream=False, items=items, tools=SHELL, forced_tool="plan"), "").reply

    assert [(call.name, call.arguments) for call in reply.calls] == [("plan", {"a": 1})]


def test_a_fault_strikes_n_times_per_namespace_and_matched_text() -> None:
    engine = Engine(
        load_script("scenarios: [{match: {regex: 'TASK-[a-z]'}, turns: [{error: overloaded, times: 2, text: done}]}]")
    )

    def strikes(namespace: str, prompt: str) -> list[bool]:
        return [engine.decide(a_request((Role.USER, prompt)), namespace).faulty for _ in range(4)]

    assert strikes("one", "TASK-a") == [True, True, False, False]
    assert strikes("two", "TASK-a") == [True, True, False, False]
    assert strikes("one", "again: TASK-b") == [True, True, False, False]


def test_a_fault_without_times_strikes_always() -> None:
    engine = Engine(load_script("scenarios: [{match: T, turns: [{drop: true}]}]"))

    assert all(engine.decide(a_request((Role.USER, "T")), "").faulty for _ in range(5))


def test_a_step_nothing_on_offer_can_do_is_an_error_that_names_it() -> None:
    engine = Engine(load_script("scenarios: [{match: T, turns: [{tools: [{bash: make}]}]}]"))

    with pytest.raises(NoSuchToolError, match=r"can do 'bash'; offered: Read"):
        engine.decide(a_request((Role.USER, "T"), tools={"Read": Tool("Read", JsonSchema())}), "")


def test_the_working_directory_is_found_in_what_each_cli_says() -> None:
    sayings = [
        " - Primary working directory: /a b/w\n - Is a git repository: true",
        "<cwd>/a b/w</cwd>",
        "I'm currently working in the directory: /a b/w\nHere is the folder structure",
        "**Workspace Directories:**\n  - /a b/w\n",
    ]

    assert [a_request((Role.CONTEXT, saying)).working_directory for saying in sayings] == ["/a b/w"] * 4
    assert a_request((Role.TOOL, "<cwd>/elsewhere</cwd>")).working_directory == ""


def test_the_smallest_instance_fills_required_properties_only() -> None:
    schema = JsonSchema.model_validate(
        {
            "type": "object",
            "required": ["who", "size", "tags", "either", "any"],
            "properties": {
                "who": {"enum": ["user", "model"]},
                "size": {"type": "INTEGER"},
                "tags": {"type": ["array", "null"]},
                "either": {"anyOf": [{"type": "boolean"}, {"type": "string"}]},
                "any": True,
                "left_out": {"type": "string"},
            },
        }
    )

    assert smallest_instance(schema) == {"who": "user", "size": 1, "tags": [], "either": False, "any": {}}
