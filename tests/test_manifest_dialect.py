"""Manifests of parallel-orchestra are accepted as they are, and what they lose is said."""

from pathlib import Path
from textwrap import dedent

import pytest

from graftline.errors import ManifestError
from graftline.manifest import Manifest, load_manifest, parse_manifest
from graftline.plan import TaskSpec

EXAMPLES = Path(__file__).parents[1] / "examples"


def read(front_matter: str, body: str = "", *, agents: tuple[str, ...] = ()) -> Manifest:
    text = f"---\npo_plan_version: '0.1'\n{dedent(front_matter)}---\n{body}"
    return parse_manifest(text, file="plan.md", spelling="markdown", agents=agents)


def test_example_is_two_independent_tasks() -> None:
    manifest = load_manifest(EXAMPLES / "parallel-orchestra.md")
    assert (manifest.plan.title, manifest.graph.order) == ("arithmetic", ("additions", "multiplications"))
    assert [manifest.graph.waits_for(task_id) for task_id in manifest.graph.order] == [(), ()]
    assert manifest.plan.task("additions") == TaskSpec(
        id="additions",
        prompt=(
            "Write `add(a, b)` in `arithmetic/additions.py`, test first.\n"
            "- Tests: `tests/test_additions.py`, with negative numbers and zero\n"
            "- Done when the tests pass\n"
        ),
        writes=("arithmetic/additions.py", "tests/test_additions.py"),
        max_retries=2,
    )
    assert manifest.notes == (
        "`cwd` is left out: graftline works on the whole repository, and paths start at its root",
        "additions, multiplications: the role 'tdd-develop' is not an agent of graftline; "
        "the run's own agent does the work",
    )


def test_every_key_of_the_dialect_is_taken_over_or_noted() -> None:
    manifest = read("""\
        name: All of it
        cwd: ../..
        defaults: {max_retries: 1, unknown: ignored there}
        concurrency_limits: {api: 2}
        on_complete: {webhook_url: "https://example.com/a"}
        on_failure: {webhook_url: "https://example.com/b"}
        tasks:
          - id: first
            agent: claude-code
            read_only: false
            prompt: hi
            writes: [src/a.py]
            max_retries: 4
            timeout_sec: 90
            idle_timeout_sec: 5
            env: {A: b}
            concurrency_group: api
          - {id: second, agent: review, read_only: true, depends_on: [first], writes: [src/a.py], env: , cwd: x}
        """)
    assert manifest.plan.tasks == (
        TaskSpec(
            id="first",
            prompt="hi",
            agent="claude-code",
            writes=("src/a.py",),
            max_retries=4,
            timeout_seconds=90,
            env={"A": "b"},
            concurrency_group="api",
        ),
        TaskSpec(id="second", prompt="/agent-review", read_only=True, depends_on=("first",), max_retries=1),
    )
    assert manifest.notes == (
        "second: `cwd` is left out: graftline works on the whole repository, and paths start at its root",
        "`concurrency_limits` is left out: limits of groups are set in graftline.toml, [limits] groups",
        "`on_complete` is left out: a plan calls no webhooks",
        "`on_failure` is left out: a plan calls no webhooks",
        "`unknown` of `defaults` is left out, as parallel-orchestra does",
        "first: `idle_timeout_sec` is left out: graftline.toml has such a limit, [timeouts] output_stall_seconds",
        "second: no prompt, so the agent is sent the command of its role, as parallel-orchestra does",
        "second: the role 'review' is not an agent of graftline; the run's own agent does the work",
        "second: `writes` is left out: the task is read_only",
    )


def test_role_that_is_a_configured_profile_is_kept() -> None:
    manifest = read("tasks: [{id: a, agent: tdd-develop, prompt: hi}]\n", agents=("tdd-develop",))
    assert manifest.plan.tasks[0].agent == "tdd-develop"


def test_text_below_the_front_matter_is_for_people() -> None:
    manifest = read("tasks: [{id: a, agent: '', prompt: hi}]\n", "## Usage\n```\nnot closed\n## a\n")
    assert manifest.plan.tasks == (TaskSpec(id="a", prompt="hi"),)


def test_problems_speak_the_dialect() -> None:
    with pytest.raises(ManifestError) as caught:
        read("""\
            name: [x]
            taks: []
            tasks:
              - id: a
                prompt: hi
                timeout_sec: soon
                depend_on: [b]
                env: {timeout_seconds: 1}
              - just text
            """)
    assert [(problem.line, problem.task, problem.message) for problem in caught.value.problems] == [
        (3, None, "`name` must be text, not a list"),
        (4, None, "unknown key `taks`; did you mean 'tasks'?"),
        (8, "a", "`timeout_sec` must be a number, not the text 'soon'"),
        (9, "a", "unknown key `depend_on`; did you mean 'depends_on'?"),
        (10, "a", "`env.timeout_seconds` must be text, not the number 1; put it in quotes"),
        (11, None, "`tasks[1]` must be a mapping, not the text 'just text'"),
    ]


def test_unknown_version_of_the_dialect_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"plan\.md:2: `po_plan_version` is '0\.2'; the only one known is \"0\.1\""):
        parse_manifest(
            "---\npo_plan_version: '0.2'\ntasks: [{id: a, prompt: hi}]\n---\n", file="plan.md", spelling="markdown"
        )
