"""The scenario format: what a file may say, and that everything else is refused."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.model_server.scenario import (
    EditFile,
    FailureKind,
    ReadFile,
    RunShell,
    Script,
    Turn,
    UseTool,
    WriteFile,
    fill_placeholders,
    load_script,
)

README = Path(__file__).parent / "model_server" / "README.md"


def test_the_example_in_the_readme_is_a_valid_script() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)

    script = load_script(example)

    assert script.default == Turn(text="ok")
    assert [type(step) for step in script.scenarios[0].turns[0].tools] == [
        WriteFile,
        EditFile,
        ReadFile,
        RunShell,
        UseTool,
    ]
    assert script.scenarios[0].turns[1].error is FailureKind.RATE_LIMIT


def test_the_readme_names_every_failure() -> None:
    assert set(re.findall(r"`(\w+)`", README.read_text())) >= set(FailureKind)


def test_short_and_long_spelling_of_a_step_mean_the_same() -> None:
    short = load_script("scenarios: [{match: T, turns: [{tools: [{bash: make}, {read: a.py}]}]}]")
    long = load_script("scenarios: [{match: T, turns: [{tools: [{bash: {command: make}}, {read: {path: a.py}}]}]}]")

    assert short == long
    assert short.scenarios[0].turns[0].tools == (RunShell(command="make"), ReadFile(path="a.py"))


@pytest.mark.parametrize(
    ("turn", "complaint"),
    [
        ("{txt: hello}", "txt"),
        ("{tools: [{wirte: {path: a}}]}", "wirte"),
        ("{tools: [{bash: make, read: a.py}]}", "exactly one key"),
        ("{tools: [{edit: a.py}]}", "as a mapping"),
        ("{error: tired}", "error"),
        ("{error: auth, drop: true}", "one fault"),
        ("{text: hello, times: 2}", "has none"),
        ("{drop: true, retry_after_seconds: 1}", "belong to an error"),
    ],
)
def test_a_turn_that_makes_no_sense_is_refused(turn: str, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        load_script(f"scenarios: [{{match: T, turns: [{turn}]}}]")


def test_a_pattern_that_does_not_compile_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        load_script("scenarios: [{match: {regex: '('}, turns: [{text: ok}]}]")


def test_placeholders_are_filled_everywhere_and_unknown_ones_are_left() -> None:
    turn = Turn(
        text="${name} in ${cwd}, $HOME and ${unknown}",
        tools=(WriteFile(path="${name}.py", content="'${name}'"), UseTool(name="X", input={"list": ["${name}"]})),
    )

    filled = fill_placeholders(turn, {"name": "a", "cwd": "/w"})

    assert filled == Turn(
        text="a in /w, $HOME and ${unknown}",
        tools=(WriteFile(path="a.py", content="'a'"), UseTool(name="X", input={"list": ["a"]})),
    )


def test_a_script_without_scenarios_says_ok() -> None:
    assert Script().default.text == "ok"
