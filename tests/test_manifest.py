"""Plan files: everything wrong with one is named at once, and what is right becomes a plan with its notes."""

from pathlib import Path
from textwrap import dedent

import pytest

from graftline.errors import ManifestError, Problem, UserError
from graftline.manifest import Spelling, load_manifest, parse_manifest, parse_plan
from graftline.plan import TaskSpec

EXAMPLES = Path(__file__).parents[1] / "examples"


def problems_of(text: str, spelling: Spelling = "yaml") -> list[tuple[int | None, str | None, str]]:
    """Line, task and message of everything that is wrong with a plan."""
    with pytest.raises(ManifestError) as caught:
        parse_manifest(dedent(text), file="plan", spelling=spelling)
    assert all(problem.file == "plan" for problem in caught.value.problems)
    return [(problem.line, problem.task, problem.message) for problem in caught.value.problems]


def test_every_problem_is_named_at_once_with_line_and_task() -> None:
    assert problems_of("""\
        version: "2"
        titel: Typo
        tasks:
          - id: a
            prompt: hi
            depends_on: [b, zz]
            writes: [/etc, ../up, .GIT/hooks]
            max_retries: -1
          - id: b
            depends_on: [a, b]
            after: [b, aa, 3]
            promt: hi
            timeout_seconds: "3"
            env: {NO: "1", COUNT: 1}
          - id: A
            prompt: look
            read_only: true
            writes: [x]
          - {id: a, prompt: "", priority: 1.5}
        """) == [
        (1, None, "`version` is '2'; the only one known is \"1\", in quotes"),
        (2, None, "unknown key `titel`; did you mean 'title'?"),
        (6, "a", "there is no task 'zz'"),
        (6, "a", "the dependencies form a cycle: a -> b -> a"),
        (7, "a", "`writes[0]`: '/etc' is absolute; write it relative to the root of the repository"),
        (7, "a", "`writes[1]`: '../up' leaves the repository by '..'"),
        (7, "a", "`writes[2]`: '.GIT/hooks' leads into git's own folder"),
        (8, "a", "`max_retries` is -1; it must be at least 0"),
        (9, "b", "the key `prompt` is missing"),
        (10, "b", "a task cannot depend on itself"),
        (11, "b", "`after[2]` must be text, not the number 3; put it in quotes"),
        (11, "b", "a task cannot wait for itself"),
        (11, "b", "there is no task 'aa'; did you mean 'a'?"),
        (12, "b", "unknown key `promt`; did you mean 'prompt'?"),
        (13, "b", "`timeout_seconds` must be a number, not the text '3'"),
        (14, None, "YAML does not read the key NO as text; put it in quotes"),
        (14, "b", "`env.COUNT` must be text, not the number 1; put it in quotes"),
        (15, "A", "a read_only task has no `writes`; drop one of the two"),
        (15, "A", "the ids 'a' and 'A' differ only by case, which some file systems ignore (first in line 4)"),
        (19, "a", "`prompt` is empty"),
        (19, "a", "`priority` must be a whole number, not the number 1.5"),
        (19, "a", "the id 'a' is used twice (first in line 4)"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: []", "`tasks` is an empty list; a plan has at least one task"),
        ("title: nothing to do", "the key `tasks` is missing"),
        ("tasks: {a: {prompt: hi}}", "`tasks` must be a list, not a mapping"),
        ("tasks: [do it]", "`tasks[0]` must be a mapping, not the text 'do it'"),
        ("- id: a", "a plan is a mapping with at least `tasks`"),
        ("tasks: [{prompt: hi}]", "the key `id` is missing"),
        ("tasks: [{id: 7, prompt: hi}]", "`id` must be text, not the number 7; put it in quotes"),
        (
            "tasks: [{id: yes, prompt: hi}]",
            "`id` must be text, not true or false (YAML reads yes, no, on and off so); put it in quotes",
        ),
        (
            "tasks: [{id: a b, prompt: hi}]",
            "`id` is 'a b'; an id is 1 to 64 letters, digits, _ and -, and starts with a letter or digit",
        ),
        ("tasks: [{id: a, prompt: hi, writes: }]", "`writes` must be a list, not empty"),
        ("tasks: [{id: a, prompt: hi, writes: src}]", "`writes` must be a list, not the text 'src'"),
        ("tasks: [{id: a, prompt: hi, env: [x]}]", "`env` must be a mapping, not a list"),
        ("tasks: [{id: a, prompt: hi, read_only: 'yes'}]", "`read_only` must be true or false, not the text 'yes'"),
        ("tasks: [{id: a, prompt: hi, timeout_seconds: 0}]", "`timeout_seconds` is 0; it must be more than 0"),
        ("tasks: [{id: a, prompt: hi, timeout_sec: 9}]", "unknown key `timeout_sec`; did you mean 'timeout_seconds'?"),
        ("defaults: {prompt: x}\ntasks: [{id: a, prompt: hi}]", "unknown key `defaults.prompt`"),
        (
            "defaults: {max_retry: 1}\ntasks: [{id: a, prompt: hi}]",
            "unknown key `defaults.max_retry`; did you mean 'max_retries'?",
        ),
        ("tasks: [{id: a, prompt: hi, tier: cheap}]", "`tier` is 'cheap'; it is 'fast', 'standard' or 'deep'"),
        ("tasks: [{id: a, prompt: hi, labels: docs}]", "`labels` must be a list, not the text 'docs'"),
        ("tasks: [{id: a, prompt: hi, labels: [api docs]}]", "`labels[0]`: a label is one word"),
        ("version: 1\ntasks: [{id: a, prompt: hi}]", '`version` is 1; the only one known is "1", in quotes'),
    ],
)
def test_problem_is_said_in_the_words_of_the_file(text: str, message: str) -> None:
    assert message in [problem[2] for problem in problems_of(text)]


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ('{"tasks": [{"id": "a", "prompt": "x", "\\u001b[2J": 1}]}', "json"),
        ('---\npo_plan_version: "0.1"\n"\\e[2J": 1\ntasks: [{id: a, prompt: x}]\n---\n', "markdown"),
        ("---\ntasks: [{id: a, prompt: x}]\n---\n## \x1b[2J\n", "markdown"),
        ('tasks: [{id: "\\e[2J", prompt: x, depends_on: ["\\e[2K"], env: {"\\e=": x}}]', "yaml"),
        ('title: "\\e[2J"\n"a\\e": 1\n"a\\e": 2', "yaml"),
        ("title: \x1b[2J", "yaml"),
    ],
)
def test_message_never_carries_control_characters_to_the_terminal(text: str, spelling: Spelling) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, file="plan", spelling=spelling)
    assert str(caught.value).replace("\n", "").isprintable()


def test_id_and_prompt_are_all_a_task_needs() -> None:
    manifest = parse_manifest("tasks: [{id: a, prompt: hi}]", file="plan", spelling="yaml")
    assert manifest.plan.tasks == (TaskSpec(id="a", prompt="hi"),)
    assert (manifest.plan.version, manifest.plan.title) == ("1", "")


def test_defaults_fill_what_a_task_leaves_out_and_env_is_merged() -> None:
    text = """\
        defaults:
          agent: scripted
          priority: 2
          timeout_seconds: 60
          max_retries: 3
          concurrency_group: db
          env: {A: default, B: default}
        tasks:
          - {id: plain, prompt: hi}
          - {id: own, prompt: hi, agent: null, priority: 0, max_retries: 0, env: {B: own}}
        """
    plain, own = parse_manifest(dedent(text), file="plan", spelling="yaml").plan.tasks
    assert plain == TaskSpec(
        id="plain",
        prompt="hi",
        agent="scripted",
        priority=2,
        timeout_seconds=60,
        max_retries=3,
        concurrency_group="db",
        env={"A": "default", "B": "default"},
    )
    assert own == TaskSpec(
        id="own",
        prompt="hi",
        timeout_seconds=60,
        max_retries=0,
        concurrency_group="db",
        env={"A": "default", "B": "own"},
    )


@pytest.mark.parametrize(
    ("own", "agent", "tier"),
    [
        ("", "scripted", "fast"),
        (", tier: deep", None, "deep"),
        (", agent: careful", "careful", None),
        (", agent: null", None, None),
    ],
)
def test_a_task_that_says_who_does_it_takes_neither_agent_nor_tier_from_the_defaults(
    own: str, agent: str | None, tier: str | None
) -> None:
    text = f"defaults: {{agent: scripted, tier: fast}}\ntasks: [{{id: a, prompt: hi{own}}}]\n"
    (task,) = parse_manifest(text, file="plan", spelling="yaml").plan.tasks
    assert (task.agent, task.tier) == (agent, tier)


def test_orderings_and_unknown_writes_are_noted() -> None:
    text = """\
        tasks:
          - {id: low, prompt: hi, writes: [src/]}
          - {id: high, prompt: hi, writes: [src/*.py], priority: 1}
          - {id: vague, prompt: hi}
          - {id: reader, prompt: hi, read_only: true}
        """
    assert parse_manifest(dedent(text), file="plan", spelling="yaml").notes == (
        "tasks 'high' and 'low' may write the same files (`src/*.py` and `src`): 'low' waits for 'high'",
        "what these tasks write is unknown, so nothing keeps them apart: 'vague' (`writes` says it)",
    )


def test_plan_given_as_data_is_checked_like_a_file() -> None:
    manifest = parse_plan({"tasks": [{"id": "a", "prompt": "hi"}, {"id": "b", "prompt": "hi", "depends_on": ["a"]}]})
    assert manifest.graph.order == ("a", "b")
    with pytest.raises(ManifestError) as caught:
        parse_plan({"tasks": [{"id": "a", "prompt": "hi", "depends_on": ["b"]}]}, file="request")
    assert caught.value.problems == (Problem("there is no task 'b'", "request", task="a"),)


def test_examples_spell_one_plan_three_ways() -> None:
    markdown, yaml, json = (load_manifest(EXAMPLES / f"greeting.{suffix}") for suffix in ("md", "yaml", "json"))
    assert markdown == yaml == json
    assert markdown.graph.order == ("greetings", "tests", "command", "review")
    assert markdown.notes == ()


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.md: the plan file cannot be read: No such file"):
        load_manifest(tmp_path / "absent.md")


def test_folder_is_no_plan_file(tmp_path: Path) -> None:
    (tmp_path / "plan.md").mkdir()
    with pytest.raises(UserError, match=r"plan\.md: the plan file cannot be read: Is a directory"):
        load_manifest(tmp_path / "plan.md")


def test_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"plan\.toml: a plan file ends in \.md, \.markdown, \.yaml, \.yml, \.json"):
        load_manifest(tmp_path / "plan.toml")


def test_file_that_is_not_utf8_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"title: x\ndescription: caf\xe9\n")
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    assert caught.value.problems == (Problem("this is not UTF-8 text; save the file as UTF-8", str(path), 2),)


def test_oversized_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    with path.open("wb") as stream:
        stream.truncate(4_000_001)
    with pytest.raises(UserError, match="more than 4 MB"):
        load_manifest(path)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("YAML", "tasks:\n- id: a\n  prompt: |\n    one\n    two\n"),
        ("md", "---\ntasks:\n- id: a\n  prompt: |\n    one\n    two\n---\n"),
        ("json", '{"tasks": [\n{"id": "a", "prompt": "one\\ntwo\\n"}]}'),
    ],
)
def test_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path, suffix: str, content: str) -> None:
    path = tmp_path / f"plan.{suffix}"
    path.write_bytes(b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    assert load_manifest(path).plan.tasks[0].prompt == "one\ntwo\n"
