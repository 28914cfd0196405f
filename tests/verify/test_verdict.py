"""What counts as passed: every rule once, on results made by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.verify.result import KEPT_FAILURES, TestFailure, TestResult, Verdict, judge


def failure(test: str, kind: str = "failed") -> TestFailure:
    return TestFailure(test, "assert False", "trace", (), kind)  # type: ignore[arg-type]  # the cases spell it right


GREEN = TestResult(
    command=("python", "-m", "pytest"),
    exit_status=0,
    passed=3,
    failed=0,
    skipped=1,
    collected=("a", "b", "c", "d"),
    failures=(),
    seconds=1.5,
    timed_out=False,
    detail="",
    foreign_imports=(),
    skipped_tests=("d",),
    reported=True,
)


def red(*tests: str) -> TestResult:
    failures = tuple(failure(test) for test in tests)
    return replace(
        GREEN, exit_status=1, passed=3 - len(tests), failed=len(tests), failures=failures, failed_tests=tests
    )


UNREPORTED = replace(GREEN, passed=0, skipped=0, collected=(), skipped_tests=(), reported=False)


def test_green_passes_whatever_the_base_was() -> None:
    expected = Verdict(True, "3 passed, 1 skipped", (), ())
    assert judge(GREEN, None) == expected
    assert judge(GREEN, GREEN) == expected
    assert judge(GREEN, red("a")) == replace(expected, base_failures=("a",))


def test_command_without_a_report_passes_by_its_exit_status() -> None:
    assert judge(UNREPORTED, None) == Verdict(True, "the test command ended with 0", (), ())


def test_red_on_a_green_or_unknown_base_has_not_passed() -> None:
    expected = Verdict(False, "2 tests failed: a, b", (failure("a"), failure("b")), ())
    assert judge(red("a", "b"), None) == expected
    assert judge(red("a", "b"), GREEN) == expected


def test_red_base_passes_what_fails_no_more() -> None:
    assert judge(red("a"), red("b", "a")) == Verdict(True, "base already red: 2 tests", (), ("a", "b"))


def test_red_base_does_not_excuse_a_new_failure() -> None:
    assert judge(red("a", "b"), red("a")) == Verdict(False, "1 test failed: b", (failure("b"),), ("a",))


def test_red_base_does_not_excuse_a_test_that_is_gone() -> None:
    verdict = judge(replace(red("a"), collected=("a", "b", "d", "new")), red("a"))
    assert verdict == Verdict(False, "the base is red, and tests it has are gone: c", (), ("a",))


def test_red_base_does_not_excuse_another_reason_than_a_failing_test() -> None:
    no_test_failed = replace(GREEN, exit_status=1)
    for result in (no_test_failed, replace(red("a"), exit_status=2)):
        verdict = judge(result, red("a"))
        assert (verdict.passed, verdict.new_failures) == (False, ())
        assert verdict.reason.endswith("for another reason than a failing test")


@pytest.mark.parametrize(
    "base",
    [
        replace(red("a"), reported=False),
        replace(red("a"), timed_out=True),
        replace(red("a"), failures=(failure("a", "crash"),)),
        replace(red("a"), foreign_imports=("shop (/elsewhere)",)),
    ],
)
def test_base_that_was_not_measured_to_its_end_excuses_nothing(base: TestResult) -> None:
    verdict = judge(red("a"), base)
    assert (verdict.passed, verdict.new_failures) == (False, ())
    assert verdict.reason.startswith("1 test failed: a; ") or "cannot be compared" in verdict.reason


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (
            replace(GREEN, foreign_imports=("shop (/x)",)),
            "the tests ran other code than the tree under test: shop (/x)",
        ),
        (replace(red("a"), timed_out=True), "the tests were ended after 2 s"),
        (
            replace(UNREPORTED, exit_status=127, detail="no such file"),
            "the test command could not be run: no such file",
        ),
        (replace(red("a"), failures=(failure("a", "crash"),)), "the test process died (exit status 1) in a"),
        (replace(red("a"), failures=(failure("a", "collection"),)), "tests could not be collected: a"),
        (replace(GREEN, exit_status=5, passed=0, skipped=0, collected=()), "no tests were found (exit status 5)"),
        (replace(GREEN, passed=0, skipped=0, collected=()), "no tests were found (exit status 0)"),
        (replace(GREEN, unfinished=2), "2 of 4 tests did not run (exit status 0)"),
        (replace(GREEN, passed=0, skipped=4), "no test ran: all 4 were skipped"),
        (replace(red("a"), exit_status=0), "the test command ended with 0 although tests failed: a"),
    ],
)
def test_some_results_have_not_passed_whatever_the_exit_status_and_the_base(result: TestResult, reason: str) -> None:
    for base in (None, GREEN, result):
        verdict = judge(result, base)
        assert not verdict.passed
        assert verdict.reason.startswith(reason)


def test_new_failure_counts_although_its_details_were_not_kept() -> None:
    tests = tuple(f"t{number}" for number in range(KEPT_FAILURES + 1))
    many = replace(red(), failed=len(tests), failed_tests=tests, failures=tuple(map(failure, tests[:-1])))
    base = replace(many, failed_tests=tests[:-1])

    verdict = judge(many, base)
    assert [new.test for new in verdict.new_failures] == [tests[-1]]
    assert not verdict.passed


TEXT = st.text(max_size=20)
FAILURES = st.builds(
    TestFailure,
    test=TEXT,
    message=TEXT,
    trace=TEXT,
    files=st.tuples(TEXT),
    kind=st.sampled_from(["failed", "error", "collection", "crash"]),
)
RESULTS = st.builds(
    TestResult,
    command=st.tuples(TEXT),
    exit_status=st.sampled_from([0, 1, 2, 5, -9]),
    passed=st.integers(0, 3),
    failed=st.integers(0, 3),
    skipped=st.integers(0, 3),
    collected=st.lists(st.sampled_from("abcd"), unique=True).map(tuple),
    failures=st.lists(FAILURES, max_size=2).map(tuple),
    seconds=st.floats(0, 100),
    timed_out=st.booleans(),
    detail=TEXT,
    foreign_imports=st.lists(TEXT, max_size=1).map(tuple),
    failed_tests=st.lists(st.sampled_from("abcd"), unique=True).map(tuple),
    unfinished=st.integers(0, 1),
    reported=st.booleans(),
)


@given(RESULTS)
def test_result_comes_back_from_json_as_it_went(result: TestResult) -> None:
    assert TestResult.from_json(result.to_json()) == result


@pytest.mark.parametrize("text", ["", "{}", "[]", GREEN.to_json().replace('"passed"', '"past"')])
def test_json_of_something_else_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        TestResult.from_json(text)


@given(RESULTS, st.none() | RESULTS)
def test_what_passed_has_nothing_new_that_fails_and_nothing_that_died(
    result: TestResult, base: TestResult | None
) -> None:
    verdict = judge(result, base)
    if verdict.passed:
        assert verdict.new_failures == ()
        assert set(result.failed_tests) <= set(verdict.base_failures)
        assert (result.timed_out, result.foreign_imports, result.unfinished) == (False, (), 0)
        assert not any(failure.kind in ("crash", "collection") for failure in result.failures)
        assert result.exit_status == 0 or (base is not None and set(base.collected) <= set(result.collected))
    assert verdict.reason
