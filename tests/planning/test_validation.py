"""What a model wrote, judged: a draft is a plan that nothing is wrong with, or everything wrong with it is said."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from graftline.errors import Problem
from graftline.manifest import parse_plan
from graftline.paths import may_overlap
from graftline.plan import TaskSpec
from graftline.planning.composition import compose_task
from graftline.planning.draft import Draft
from graftline.planning.prompts import Templates
from graftline.planning.repair import describe_problems
from graftline.planning.validation import Ground, check_tasks, read_draft
from tests.pipeline import task as spec
from tests.planning.drafting import TRACKED, Fields, draft, find_ignored, task

GROUND = Ground(TRACKED, find_ignored)
TEMPLATES = Templates({})
IDS = st.sampled_from(["a", "b", "c", "A", "d e", ""])
PATHS = st.sampled_from(
    [
        "calc/a.py",
        "calc/b.py",
        "calc",
        "**",
        "CALC/A.py",
        "notes.txt",
        "build/x",
        "link/x",
        "../x",
        "tests/t",
        "a{b",
        "-x",
    ]
)
TESTS = st.sampled_from(
    ["tests/test_a.py", "tests/test_b.py", "tests/TEST_A.py", "tests/test_adding.py", "tests", "-x"]
)
# Mostly what the schema asks for, so that the rules between tasks are reached, too.
TASKS = st.builds(
    lambda name, needs, writes, tests, read_only: task(
        name,
        *needs,
        writes=[] if read_only else writes,
        read_only=read_only,
        acceptance=[] if read_only else [{"path": path, "content": "x"} for path in tests],
        untested="no test can tell",
    ),
    IDS,
    st.lists(IDS, max_size=2),
    st.lists(PATHS, max_size=3),
    st.lists(TESTS, max_size=2),
    st.booleans(),
)
ANYTHING: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def judge(data: Fields) -> list[TaskSpec] | tuple[Problem, ...]:
    """The tasks of a draft, or everything wrong with it."""
    read = read_draft(data)
    if not isinstance(read, Draft):
        return read
    tasks = [compose_task(each, TEMPLATES, ()) for each in read.tasks]
    return asyncio.run(check_tasks(tasks, GROUND)) or tasks


@given(st.lists(TASKS, min_size=1, max_size=4))
def test_a_draft_without_a_problem_is_a_plan_that_keeps_every_task_apart(tasks: list[Fields]) -> None:
    judged = judge(draft(*tasks))
    if isinstance(judged, tuple):
        assert judged
        return
    manifest = parse_plan({"tasks": [each.model_dump(mode="json") for each in judged]})
    assert manifest.graph.orderings == (), "nothing waits but for what it needs"
    assert list(manifest.plan.tasks) == judged
    owned = [(each.id, path) for each in judged for path in each.acceptance]
    assert len({path.casefold() for _, path in owned}) == len(owned)
    for owner, path in owned:
        assert path.casefold() not in {tracked.casefold() for tracked in TRACKED}
        assert not any(may_overlap(p, path) for each in judged if each.id != owner for p in each.writes)


@given(st.dictionaries(st.sampled_from(["title", "summary", "tasks", "x"]), ANYTHING), st.data())
def test_whatever_a_model_answers_is_judged_and_its_problems_can_be_shown(data: Fields, more: st.DataObject) -> None:
    parts = list(task("a"))
    broken = {**task("a"), **more.draw(st.dictionaries(st.sampled_from(parts), ANYTHING, max_size=3))}
    for answer in (data, draft(broken), draft(broken, task("b", "a"))):
        judged = judge(answer)
        if isinstance(judged, tuple):
            assert all(line and line.isprintable() for line in describe_problems(judged))


def test_faults_between_tasks_are_named_beside_what_is_wrong_in_one() -> None:
    judged = judge(draft(task("a", "b", size="huge"), task("b", "a"), task("c", "nobody", depends_on=7)))
    lines = describe_problems(judged if isinstance(judged, tuple) else ())
    assert lines == [
        "task 'a': `size`: Input should be 'small', 'medium' or 'large'",
        "task 'c': `depends_on` must be a list, not the number 7",
        "task 'a': the dependencies form a cycle: a -> b -> a",
    ]


def test_tasks_that_wait_for_one_another_may_write_the_same_file() -> None:
    writes = {"writes": ["calc/a.py"]}
    for second in (spec("b", "a", **writes), spec("b", after=["a"], **writes)):
        assert asyncio.run(check_tasks([spec("a", **writes), second], GROUND)) == ()
    through = [spec("a", **writes), spec("m", "a", read_only=True), spec("b", "m", **writes)]
    assert asyncio.run(check_tasks(through, GROUND)) == ()


def test_the_acceptance_tests_of_a_plan_are_bounded_together() -> None:
    tasks = [spec(f"t{n}", writes=[f"{n}.py"], acceptance={f"test_{n}.py": "x" * 50_000}) for n in range(9)]
    [problem] = asyncio.run(check_tasks(tasks, GROUND))
    assert problem.message.startswith("the acceptance tests are 450000 characters together; at most 400000")


def test_a_long_list_of_problems_is_cut_and_says_so() -> None:
    lines = describe_problems([Problem(f"{n} " + "x" * 5_000) for n in range(50)])
    assert len(lines) == 41
    assert lines[-1] == "and 10 more"
    assert max(map(len, lines)) == 800
