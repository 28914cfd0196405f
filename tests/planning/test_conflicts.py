"""Which tasks may collide and why, and that ordering the likely ones leaves a plan that runs."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftline.plan import Plan, TaskSpec, graph_of
from graftline.planning.conflicts import (
    APART,
    LIKELY,
    MOST_PAIRS,
    SHARED,
    UNKNOWN,
    Apart,
    PredictedConflict,
    Shared,
    order_conflicts,
    predict_conflicts,
    probability_of,
)
from graftline.planning.footprint import MAX_FILES
from graftline.planning.index import RepositoryIndex
from tests.planning.grounds import NO_PAST, file, history_of, index_of
from tests.test_plan_properties import plans

INDEX = index_of(
    file("app/core.py", defines=("start",)),
    file("app/main.py", imports=("app/core.py",)),
    file("app/hidden\nname.py"),
    file("docs/guide.md"),
    file("docs/index.md"),
    file("tools/run.py", uses=("start",)),
)
HISTORY = history_of(*[("app/core.py", "docs/guide.md")] * 3, ("app/core.py",))


def task(
    task_id: str, *writes: str, prompt: str = "p", after: tuple[str, ...] = (), read_only: bool = False
) -> TaskSpec:
    return TaskSpec(id=task_id, prompt=prompt, writes=writes, after=after, read_only=read_only)


def predict(*tasks: TaskSpec, index: RepositoryIndex = INDEX) -> tuple[PredictedConflict, ...]:
    return predict_conflicts(Plan(tasks=tasks), index=index, history=HISTORY)


@pytest.mark.parametrize(
    ("one", "other", "reason", "files"),
    [
        (
            task("a", prompt="Change app/core.py"),
            task("b", "app/core.py", "app/new.py"),
            "both change app/core.py, which 4 of the last 4 commits touched",
            ("app/core.py",),
        ),
        (
            task("a", prompt="Change docs/index.md"),
            task("b", prompt="And docs/index.md"),
            "both change docs/index.md",
            ("docs/index.md",),
        ),
        (
            task("a", "docs/guide.md"),
            task("b", "app/core.py"),
            "docs/guide.md and app/core.py changed together in 3 commits",
            ("docs/guide.md", "app/core.py"),
        ),
        (
            task("a", "app/core.py"),
            task("b", "app/main.py"),
            "app/main.py imports app/core.py",
            ("app/main.py", "app/core.py"),
        ),
        (
            task("a", "tools/run.py"),
            task("b", "app/core.py"),
            "tools/run.py uses start of app/core.py",
            ("tools/run.py", "app/core.py"),
        ),
        (task("a", "app/x.py"), task("b", "app/y.py"), "both change files in app", ()),
        (task("a", "x.py"), task("b", "y.py"), "both change files in the top folder", ()),
        (task("a", "tools/x.py"), task("b", "docs/index.md"), "nothing is known that joins their files", ()),
    ],
)
def test_the_reason_is_what_speaks_most_for_a_collision(
    one: TaskSpec, other: TaskSpec, reason: str, files: tuple[str, ...]
) -> None:
    (conflict,) = predict(one, other)
    assert (conflict.first, conflict.second, conflict.reason, conflict.files) == ("a", "b", reason, files)
    assert 0 < conflict.probability < 1


def test_names_in_a_reason_cannot_break_its_line() -> None:
    (conflict,) = predict(task("a", prompt="app/main.py"), task("b", prompt="app/main.py"), index=INDEX)
    assert conflict.reason == "both change app/main.py"
    (conflict,) = predict(task("a", "app/*.py"), task("b", prompt="p"))
    assert conflict.reason == "what b changes is unknown"
    shown = predict_conflicts(
        Plan(tasks=(task("a", "app/core.py"), task("b", "other.py"))),
        index=index_of(file("app/core.py", imports=("other.py",))),
        history=history_of(("app/core.py", "other.py", "x\n\x1b[31m" + "y" * 500)),
    )
    assert "\n" not in shown[0].reason


def test_unknown_writes_have_the_overall_share_of_collisions() -> None:
    (conflict,) = predict(task("a"), task("b"))
    assert conflict == PredictedConflict("a", "b", UNKNOWN, "what a and b changes is unknown", ())


def test_only_tasks_that_may_write_at_the_same_time_are_paired_the_likeliest_first() -> None:
    found = predict(
        task("core", "app/core.py"),
        task("guide", "docs/guide.md"),
        task("far", "tools/x.py"),
        task("same", "app/core.py"),
        task("later", "docs/index.md", after=("guide",)),
        task("look", read_only=True),
    )
    assert (found[0].first, found[0].second) == ("core", "guide")
    assert [each.probability for each in found] == sorted((each.probability for each in found), reverse=True)
    assert {(each.first, each.second) for each in found} == {
        pair
        for pair in combinations(("core", "guide", "far", "same", "later"), 2)
        if pair not in {("core", "same"), ("guide", "later")}
    }


def test_what_makes_a_collision_likelier() -> None:
    calm, small, narrow = Shared(0.0, 9.0, 1.0), 2.0, 3.0
    assert probability_of(calm) < probability_of(calm._replace(heat=2.0))
    assert probability_of(calm) < probability_of(calm._replace(size=small))
    assert probability_of(calm) < probability_of(calm._replace(breadth=narrow))
    apart = Apart(0.0, 1.0)
    assert probability_of(apart) < probability_of(apart._replace(partners=0.8))
    assert probability_of(apart) < probability_of(apart._replace(breadth=narrow))
    for model in (SHARED, APART):
        assert 0 < model.probability((1e9,) * len(model.weights)) < 1


def test_a_plan_of_very_many_patterns_is_looked_at_in_part() -> None:
    index = index_of(*(file(f"{folder}/{number}.py") for folder in "abc" for number in range(300)))
    hostile = tuple(f"**/{'x' * 50}{number}*" for number in range(50 * MAX_FILES))
    found = predict(task("a", *hostile), *(task(f"t{number}", f"a/{number}.py") for number in range(50)), index=index)
    assert len(found) == MOST_PAIRS < 50 * 49 / 2


@st.composite
def foreseen(draw: st.DrawFn) -> tuple[Plan, tuple[PredictedConflict, ...]]:
    """A plan, and probabilities for some of its pairs, in any direction, and for tasks it does not have."""
    plan = draw(plans(most_tasks=6))
    names = st.sampled_from([*(spec.id for spec in plan.tasks), "nobody"])
    likely = st.sampled_from([0.0, LIKELY - 0.01, LIKELY, 1.0])
    conflicts = st.builds(PredictedConflict, names, names, likely, st.just(""), st.just(()))
    return plan, tuple(draw(st.lists(conflicts, max_size=10)))


@settings(deadline=None, max_examples=40)
@given(foreseen())
def test_likely_collisions_are_put_in_order_and_nothing_else_changes(
    case: tuple[Plan, tuple[PredictedConflict, ...]],
) -> None:
    plan, predicted = case
    ordered = order_conflicts(plan, predicted)
    before, after = graph_of(plan), graph_of(Plan.model_validate(ordered.model_dump()))
    known = set(before.order)
    likely = [each for each in predicted if each.probability >= LIKELY and {each.first, each.second} <= known]
    assert all(after.is_ordered(each.first, each.second) for each in likely)
    assert order_conflicts(ordered, predicted) == ordered
    joined = {frozenset((each.first, each.second)) for each in likely}
    for spec, changed in zip(plan.tasks, ordered.tasks, strict=True):
        new = set(changed.after) - set(spec.after)
        assert changed == spec.model_copy(update={"after": changed.after})
        assert all(frozenset((other, spec.id)) in joined and not before.is_ordered(other, spec.id) for other in new)
        assert all(before.order.index(other) < before.order.index(spec.id) for other in new)


def test_a_calm_plan_stays_as_it_is() -> None:
    plan = Plan(tasks=(task("a", "a"), task("b", "b")))
    found = predict_conflicts(plan, index=INDEX, history=NO_PAST)
    assert order_conflicts(plan, found) == plan
