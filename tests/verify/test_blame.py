"""Each failure goes to exactly one task, by the first clue that points at one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.verify.blame import responsible_tasks
from graftline.verify.result import TestFailure

CHANGED = {
    "cart": frozenset({"src/shop/cart.py", "tests/test_cart.py"}),
    "api": frozenset({"src/shop/api.py", "src/shop/routes/user.py"}),
    "docs": frozenset({"README.md", "src/shop/__init__.py"}),
    "tests": frozenset({"tests/test_new.py"}),
    "idle": frozenset(),
}
ORDER = ("cart", "api", "docs", "tests", "idle")


def failure(test: str, *files: str, message: str = "assert False", kind: str = "failed") -> TestFailure:
    return TestFailure(test, message, "", files, kind)  # type: ignore[arg-type]  # the cases spell it right


def blamed(one: TestFailure, **tests_of: frozenset[str]) -> str:
    [task] = responsible_tasks([one], changed=CHANGED, tests_of=tests_of, order=ORDER)
    return task


def test_owner_of_the_test_comes_first_and_the_closest_match_wins() -> None:
    failed = failure("tests/test_x.py::TestCart::test_sum[1]", "tests/test_x.py", "src/shop/cart.py")
    assert blamed(failed, api=frozenset({"tests/test_x.py"})) == "api"
    assert blamed(failed, api=frozenset({"tests/test_x.py::TestCart::test_sum"}), docs=frozenset({"tests/"})) == "api"
    assert blamed(failed, api=frozenset({"tests/test_x"}), docs=frozenset({"tests/test_x.py::TestC"})) == "cart"


def test_of_equally_close_owners_the_last_integrated_is_responsible() -> None:
    owned = frozenset({"tests/test_x.py"})
    assert blamed(failure("tests/test_x.py::test_a"), cart=owned, api=owned) == "api"


def test_deepest_changed_file_of_the_trace_comes_before_the_frames_above_it() -> None:
    assert blamed(failure("tests/test_x.py::t", "tests/test_x.py", "src/shop/api.py", "src/shop/cart.py")) == "cart"
    assert blamed(failure("tests/test_x.py::t", "src/shop/cart.py", "src/shop/api.py", "src/shop/db.py")) == "api"


@pytest.mark.parametrize(
    ("failed", "task"),
    [
        (failure("tests/test_new.py", kind="collection"), "tests"),
        (failure("tests/test_x.py", message="No module named 'shop.routes.user'", kind="collection"), "api"),
        (failure("tests/test_x.py", message="No module named 'shop'", kind="collection"), "docs"),
        (failure("tests/test_cart.py::t"), "cart"),
        (failure("other/test_api.py::t"), "api"),
        (failure("other/routes_test.py::t"), "api"),
        (failure("other/test_unknown.py::t"), "docs"),
        (failure("make test"), "docs"),
    ],
)
def test_without_a_trace_names_point_at_a_task(failed: TestFailure, task: str) -> None:
    assert blamed(failed) == task


def test_without_any_clue_the_last_work_is_responsible() -> None:
    one = failure("tests/test_x.py::t")
    only_tests = {"a": frozenset({"tests/test_a.py"}), "b": frozenset[str]()}
    assert responsible_tasks([one], changed=only_tests, tests_of={}, order=["a", "b"]) == {"a": (one,)}
    assert responsible_tasks([one], changed={}, tests_of={}, order=["a", "b"]) == {"b": (one,)}
    assert responsible_tasks([one], changed=CHANGED, tests_of={}, order=[]) == {}


def test_tasks_that_were_not_integrated_are_not_considered() -> None:
    one = failure("tests/test_cart.py::t", "src/shop/cart.py")
    owned = {"cart": frozenset({"tests/test_cart.py"})}
    assert list(responsible_tasks([one], changed=CHANGED, tests_of=owned, order=["api"])) == ["api"]


FILES = ["src/other.py", *sorted({file for files in CHANGED.values() for file in files})]
FAILURES = st.builds(
    TestFailure,
    test=st.sampled_from([f"{file}::t" for file in FILES] + ["(session)", "", "make test"]),
    message=st.sampled_from(["", "No module named 'shop.cart'"]),
    trace=st.just(""),
    files=st.lists(st.sampled_from(FILES), max_size=3).map(tuple),
    kind=st.sampled_from(["failed", "error", "collection", "crash"]),
)


@given(st.lists(FAILURES), st.permutations(ORDER))
def test_each_failure_goes_to_exactly_one_task_in_the_order_of_integration(
    failures: list[TestFailure], order: list[str]
) -> None:
    found = responsible_tasks(failures, changed=CHANGED, tests_of={}, order=order)
    assert sorted(map(repr, (one for task in found.values() for one in task))) == sorted(map(repr, failures))
    assert list(found) == [task for task in order if task in found]
