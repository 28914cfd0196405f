"""The plan refuses what would be dangerous wherever it comes from, and its graph answers in integration order."""

import pytest
from pydantic import ValidationError

from graftline.errors import ManifestError
from graftline.plan import Graph, Ordering, Plan, TaskSpec, graph_of


def task(
    task_id: str, *depends_on: str, after: tuple[str, ...] = (), writes: tuple[str, ...] = (), priority: int = 0
) -> TaskSpec:
    return TaskSpec(id=task_id, prompt="do it", depends_on=depends_on, after=after, writes=writes, priority=priority)


def graph(*tasks: TaskSpec) -> Graph:
    return graph_of(Plan(tasks=tasks))


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ([task("a"), task("a")], "'a' is used twice"),
        ([task("Build"), task("build")], "differ only by case"),
        ([task("a", "missing")], "no task 'missing'"),
        ([task("alpha"), task("b", "alhpa")], "did you mean 'alpha'"),
        ([task("a", "a")], "cannot depend on itself"),
        ([task("a", "b"), task("b", "c"), task("c", "a")], "a -> b -> c -> a"),
        ([task("alpha"), task("b", after=("alhpa",))], "no task 'alhpa'; did you mean 'alpha'"),
        ([task("a", after=("a",))], "cannot wait for itself"),
        ([task("a", "b"), task("b", after=("a",))], "`depends_on` and `after` form a cycle: a -> b -> a"),
        ([task("a", after=("b",)), task("b", after=("a",))], "`after` form a cycle: a -> b -> a"),
        ([], "at least 1"),
    ],
)
def test_plan_made_in_python_is_checked_like_a_file(tasks: list[TaskSpec], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Plan(tasks=tuple(tasks))


def test_plan_names_all_its_faults_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        Plan(tasks=(task("a", "x"), task("A"), task("b", "c"), task("c", "b"), task("d", "d")))
    message = str(caught.value)
    assert all(part in message for part in ("'x'", "only by case", "b -> c -> b", "depend on itself"))


def test_two_separate_cycles_are_both_named() -> None:
    broken = Plan.model_construct(tasks=(task("a", "b"), task("b", "a"), task("c", "d"), task("d", "c", "a")))
    with pytest.raises(ManifestError) as caught:
        graph_of(broken)
    assert [(problem.task, problem.message) for problem in caught.value.problems] == [
        ("a", "the dependencies form a cycle: a -> b -> a"),
        ("c", "the dependencies form a cycle: c -> d -> c"),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "-a"),
        ("id", "a/b"),
        ("id", "a\n"),
        ("id", "x" * 65),
        ("prompt", ""),
        ("prompt", " \n"),
        ("prompt", "\ud800"),
        ("title", "two\nlines"),
        ("title", "\x1b[31mred"),
        ("writes", ["../up"]),
        ("writes", [".git/hooks"]),
        ("acceptance", {"/abs.py": ""}),
        ("acceptance", {"tests/./a.py": ""}),
        ("tests", ["-p evil"]),
        ("tests", [""]),
        ("env", {"": "x"}),
        ("env", {"A=B": "x"}),
        ("env", {"A": "x\0"}),
        ("agent", ""),
        ("concurrency_group", "a/b"),
        ("read_only", "yes"),
        ("priority", True),
        ("max_retries", -1),
        ("max_retries", "2"),
        ("timeout_seconds", 0),
        ("timeout_seconds", float("nan")),
        ("unknown", 1),
    ],
)
def test_task_refuses_what_nobody_could_carry_out(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        TaskSpec.model_validate({"id": "a", "prompt": "do it"} | {field: value})
    assert caught.value.errors()[0]["loc"][0] == field


def test_read_only_task_declares_no_writes() -> None:
    with pytest.raises(ValidationError, match="read_only task has no `writes`"):
        TaskSpec(id="a", prompt="look", read_only=True, writes=("x",))


def test_task_is_found_by_its_id() -> None:
    plan = Plan(tasks=(task("a"), task("b", "a")))
    assert plan.task("b") is plan.tasks[1]
    with pytest.raises(KeyError):
        plan.task("c")


def test_order_is_topological_then_priority_then_plan_order() -> None:
    assert graph(task("a"), task("b", priority=5), task("c", priority=5), task("d", "a", priority=9)).order == (
        "b",
        "c",
        "a",
        "d",
    )


def test_graph_answers_about_a_diamond_with_a_tail() -> None:
    diamond = graph(task("join", "right", "left"), task("right", "top"), task("left", "top"), task("top"), task("x"))
    assert diamond.order == ("top", "right", "left", "join", "x")
    assert diamond.dependencies("join") == ("right", "left")
    assert diamond.waits_for("join") == ("right", "left")
    assert diamond.ancestors("join") == ("top", "right", "left")
    assert diamond.dependents("top") == ("right", "left", "join")
    assert (diamond.ancestors("x"), diamond.dependents("x")) == ((), ())


def test_overlapping_tasks_get_an_ordering_that_is_no_dependency() -> None:
    pair = graph(task("low", writes=("src",)), task("high", writes=("docs", "src/a.py"), priority=1))
    assert pair.orderings == (Ordering("high", "low", ("src/a.py", "src")),)
    assert pair.order == ("high", "low")
    assert (pair.waits_for("low"), pair.dependencies("low")) == (("high",), ())
    assert (pair.ancestors("low"), pair.dependents("high")) == ((), ())


def test_after_is_waited_for_and_is_no_dependency() -> None:
    """Against priority, too; what others imply and what is depended on anyway is left out."""
    plan = graph(
        task("a", after=("b", "c"), priority=9, writes=("x",)),
        task("b", after=("c", "c")),
        task("c", writes=("x",)),
        task("d", "a", after=("a", "c")),
    )
    assert set(plan.orderings) == {Ordering("b", "a", None), Ordering("c", "b", None)}
    assert plan.order == ("c", "b", "a", "d")
    assert [(plan.waits_for(name), plan.dependencies(name)) for name in "abd"] == [
        (("b",), ()),
        (("c",), ()),
        (("a",), ("a",)),
    ]
    assert (plan.predecessors("d"), plan.ancestors("d")) == (("c", "b", "a"), ("a",))


def test_equal_priority_is_ordered_by_the_plan() -> None:
    orderings = graph(task("z", writes=("a",)), task("y", writes=("a",))).orderings
    assert [(ordering.first, ordering.second) for ordering in orderings] == [("z", "y")]


def test_tasks_that_are_already_ordered_get_no_ordering() -> None:
    assert graph(task("a", writes=("x",)), task("b", "a"), task("c", "b", writes=("x",), priority=9)).orderings == ()


def test_overlapping_tasks_form_a_chain_rather_than_a_web() -> None:
    orderings = graph(*(task(task_id, writes=("x",)) for task_id in "abcd")).orderings
    assert [(ordering.first, ordering.second) for ordering in orderings] == [("a", "b"), ("b", "c"), ("c", "d")]


def test_cycle_is_told_from_its_first_task_in_the_plan() -> None:
    with pytest.raises(ValidationError, match="task 'a': the dependencies form a cycle: a -> b -> a"):
        Plan(tasks=(task("outside", "b"), task("a", "b"), task("b", "a")))


def test_ordering_reaches_on_to_the_dependents_of_the_task_that_waits() -> None:
    """`first` before `second` puts `last`, which `first` needs, before `next`, which needs `second`."""
    tasks = (
        task("first", "last", writes=("x",), priority=9),
        task("second", writes=("x",), priority=8),
        task("next", "second", writes=("y",), priority=7),
        task("last", writes=("y",)),
    )
    assert [(o.first, o.second) for o in graph(*tasks).orderings] == [("first", "second")]
    assert graph(*tasks).order == ("last", "first", "second", "next")


def test_ordering_never_turns_against_a_path_of_other_orderings() -> None:
    """`high` depends on `base`, so `base` reaches `middle` through `high` although its priority is lower."""
    tasks = (
        task("base", writes=("b",)),
        task("middle", writes=("h", "b"), priority=3),
        task("high", "base", writes=("h",), priority=5),
    )
    assert [(o.first, o.second) for o in graph(*tasks).orderings] == [("high", "middle")]
    assert graph(*tasks).order == ("base", "high", "middle")


def test_unknown_writes_give_no_ordering() -> None:
    assert graph(task("a"), task("b", writes=("**",))).orderings == ()
