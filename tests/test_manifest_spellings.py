"""The traps of Markdown, YAML and JSON: each is a problem with its line, and none of them hangs."""

import json
from textwrap import dedent

import pytest

from graftline.errors import ManifestError
from graftline.manifest import Spelling, dump_manifest, parse_manifest
from graftline.plan import Plan, TaskSpec


def problems_of(text: str, spelling: Spelling) -> list[tuple[int | None, str]]:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, file="plan", spelling=spelling)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def prompts(text: str, spelling: Spelling = "markdown") -> dict[str, str]:
    plan = parse_manifest(dedent(text), file="plan", spelling=spelling).plan
    return {task.id: task.prompt for task in plan.tasks}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "there is nothing in here"),
        ("# only a comment\n", 1, "there is nothing in here"),
        ("tasks:\n\t- id: a\n", 2, "found character '\\t'"),
        ("tasks:\n  - id: a\n    prompt: [\n", 4, "not valid YAML"),
        ("a: 1\n---\nb: 2\n", 2, "single document"),
        ("tasks: *missing\n", 1, "undefined alias"),
        ("title: x\ntitle: y\n", 2, "the key 'title' is given twice (first in line 1)"),
        ("tasks: [{id: a,\n id: b}]\n", 2, "the key 'id' is given twice (first in line 1)"),
        ("title: x\n? [a]\n: 1\n", 2, "a key must be text"),
        ("title: 2026-01-02\n", 1, "YAML reads 2026-01-02 as a date; put it in quotes"),
        ("title: !!binary aGk=\n", 1, "as a bytes"),
        ("title: x\ndescription: !!int x\n", 2, "cannot be read"),
        ("title: !!python/object:os.system x\n", 1, "cannot be read"),
        ("tasks: !!set {a}\n", 1, "has no meaning in a plan"),
        ("title: x\ndescription: \x1b[31m\n", 2, "U+001B cannot stand in YAML"),
        ("tasks: &loop [*loop]\n", 1, "nested too deeply"),
        ("[" * 5000, 1, "nested too deeply"),
        ("title: x\n<<: 3\n", 2, "`<<` takes a mapping"),
        ("title: " + "9" * 5000, 1, "cannot be read"),
    ],
)
def test_yaml_trap_is_named_with_its_line(text: str, line: int, message: str) -> None:
    problems = problems_of(text, "yaml")
    assert any(found_line == line and message in found for found_line, found in problems), problems


def test_aliases_that_multiply_are_refused_rather_than_unfolded() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "\n".join(["l0: &l0 [x]", *levels])
    assert "are aliases multiplying?" in problems_of(text, "yaml")[0][1]


def test_anchors_and_merge_keys_work_and_own_keys_win() -> None:
    text = """\
        tasks:
          - &base {id: a, prompt: hi, max_retries: 1, priority: 3}
          - <<: *base
            id: b
            max_retries: 2
        """
    second = parse_manifest(dedent(text), file="plan", spelling="yaml").plan.tasks[1]
    assert second == TaskSpec(id="b", prompt="hi", max_retries=2, priority=3)


def test_first_of_several_merged_mappings_wins() -> None:
    text = """\
        tasks:
          - &one {id: a, prompt: one}
          - &two {id: b, prompt: two, priority: 2}
          - <<: [*one, *two]
            id: c
        """
    third = parse_manifest(dedent(text), file="plan", spelling="yaml").plan.tasks[2]
    assert third == TaskSpec(id="c", prompt="one", priority=2)


def test_duplicate_key_in_a_merged_mapping_is_named_once() -> None:
    text = "tasks:\n- &base {id: a, prompt: hi,\n   title: x, title: y}\n- <<: *base\n  id: b\n"
    assert problems_of(text, "yaml") == [(3, "the key 'title' is given twice (first in line 3)")]


def test_problem_in_a_merged_mapping_is_named_once_and_at_its_own_line() -> None:
    text = "tasks:\n- &base {id: a, prompt: hi,\n   max_retries: x}\n- <<: *base\n  id: b\n"
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, file="plan", spelling="yaml")
    assert [(problem.line, problem.task) for problem in caught.value.problems] == [(3, "a"), (3, "b")]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "there is nothing in here"),
        ("{\n  'a': 1}", 2, "not valid JSON"),
        ('{"tasks": [],\n "tasks": []}', 2, "the key 'tasks' is given twice (first in line 1)"),
        ('{\n"tasks": [{"id": "a", "prompt": "x", "priority": NaN}]}', 1, "NaN is not a JSON value"),
        ('{"title": ' + "9" * 5000 + "}", 1, "not valid JSON"),
        ("[" * 100_000, 1, "nested too deeply"),
        ("[" * 60 + "]" * 60, 1, "nested too deeply"),
        ('{"tasks": [\n\t{"id": "a",\n\t"prompt": "x",\n\t"writes": ["a",\n\t"/b"]}]}', 5, "'/b' is absolute"),
        ('{"tasks": [{"id": "a", "prompt":\n "\\ud800"}]}', 1, "surrogate"),
    ],
)
def test_json_trap_is_named_with_its_line(text: str, line: int, message: str) -> None:
    problems = problems_of(text, "json")
    assert any(found_line == line and message in found for found_line, found in problems), problems


def test_json_is_read_as_json_and_not_as_yaml() -> None:
    text = json.dumps({"tasks": [{"id": "yes", "prompt": "\U0001f642 \t", "timeout_seconds": 1e3}]}, indent="\t")
    assert parse_manifest(text, file="plan", spelling="json").plan.tasks[0] == TaskSpec(
        id="yes", prompt="\U0001f642 \t", timeout_seconds=1000.0
    )


PAGE = """\
---
tasks:
  - id: a
  - id: b
    prompt: given above
---
"""


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "starts with front matter"),
        ("# Title\n---\n", 1, "starts with front matter"),
        ("---\ntasks: []\n", 1, "not closed"),
        ("---\n---\n", 2, "there is nothing in here"),
        ("---\ntitle: x\ntasks: [\n---\n", 4, "not valid YAML"),
        (PAGE, 3, "the key `prompt` is missing"),
        (PAGE + "## a\n\n## c\n", 7, "`prompt` is empty"),
        (PAGE + "## a\nhi\n## bb\n", 9, "the heading `## bb` names no task; did you mean 'b'?"),
        (PAGE + "## a\nhi\n## b\nagain\n", 9, "the prompt is given twice (first in line 5)"),
        (PAGE + "## a\nhi\n## a\nagain\n", 9, "the prompt is given twice (first in line 7)"),
        (PAGE + "## a\nhi\n```\n## more\n", 9, "the code fence opened here is never closed"),
    ],
)
def test_markdown_trap_is_named_with_its_line(text: str, line: int, message: str) -> None:
    problems = problems_of(text, "markdown")
    assert any(found_line == line and message in found for found_line, found in problems), problems


def test_section_is_verbatim_but_for_the_blank_lines_around_it() -> None:
    text = PAGE + "# For people\n\n## a\n\n\n   indented\n\n\tkeep *this* \n### Deeper\n\n \n"
    assert prompts(text)["a"] == "   indented\n\n\tkeep *this* \n### Deeper"


def test_windows_line_ends_are_not_part_of_a_section() -> None:
    assert prompts((PAGE + "## a\none\ntwo\n").replace("\n", "\r\n"))["a"] == "one\ntwo"


@pytest.mark.parametrize(
    "fenced",
    [
        "```\n## b\n```",
        "~~~ py\n## b\n```\n~~~~",
        "  ````\n```\n## b\n````",
        "```\n``` py\n## b\n```",
        "    ## b",
        "##b",
        "```not ``` a fence\n### b",
    ],
)
def test_what_is_no_heading_of_level_two_stays_in_the_prompt(fenced: str) -> None:
    assert prompts(f"{PAGE}## a\nrun:\n{fenced}\ndone\n")["a"] == f"run:\n{fenced}\ndone"


@pytest.mark.parametrize("heading", ["## a", "  ## a", "##\ta  ", "## a ##"])
def test_heading_is_read_as_commonmark_does(heading: str) -> None:
    assert prompts(f"{PAGE}{heading}\nhi\n")["a"] == "hi"


def test_front_matter_may_hold_rulers_inside_a_prompt() -> None:
    text = "---\ntasks:\n  - id: a\n    prompt: |\n      one\n      ---\n      two\n---\n"
    assert prompts(text)["a"] == "one\n---\ntwo\n"


def test_dumped_markdown_puts_prompts_where_people_read_them() -> None:
    plan = Plan(
        title="Two",
        tasks=(
            TaskSpec(id="a", prompt="Do\nthis."),
            TaskSpec(id="b", prompt="## Why\n\nBecause.\n", depends_on=("a",)),
        ),
    )
    assert dump_manifest(plan, "markdown") == dedent("""\
        ---
        version: '1'
        title: Two
        tasks:
        - id: a
        - id: b
          depends_on:
          - a
          prompt: |
            ## Why

            Because.
        ---

        ## a

        Do
        this.
        """)
