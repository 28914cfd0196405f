"""What a test run gave, and whether that is good enough to land."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, TypeAdapter

SESSION = "(session)"  # what fails when no single test can be named
RUNNER_MISSING_STATUS = 127  # what a shell says, too
KEPT_FAILURES = 200
_NAMED = 5


# What a result keeps of text that tests have written.
MESSAGE_BYTES = 4_000
TRACE_BYTES = 16_000
DETAIL_BYTES = 16_000


@dataclass(frozen=True)
class TestFailure:
    """One test that did not pass.

    `files` are the worktree-relative files of the traceback's frames across the whole exception chain, deepest last.
    `kind`: `failed` in the test itself, `error` in its set-up or tear-down, `collection` before any test of that file
    could run, `crash` when the process died, or had to be ended, while it ran.
    """

    __test__ = False
    __pydantic_config__ = ConfigDict(extra="forbid")

    test: str
    message: str
    trace: str
    files: tuple[str, ...]
    kind: Literal["failed", "error", "collection", "crash"]


@dataclass(frozen=True)
class TestResult:
    """One run of the test command.

    `failures` holds the details of the first failures only, `failed_tests` and `skipped_tests` each id. `reported` says
    that our reporter was heard: without it, the exit status is all that is known. `unfinished` counts the collected
    tests that have no outcome.
    """

    __test__ = False
    __pydantic_config__ = ConfigDict(extra="forbid")

    command: tuple[str, ...]
    exit_status: int
    passed: int
    failed: int
    skipped: int
    collected: tuple[str, ...]
    failures: tuple[TestFailure, ...]
    seconds: float
    timed_out: bool
    detail: str
    foreign_imports: tuple[str, ...]
    failed_tests: tuple[str, ...] = ()
    skipped_tests: tuple[str, ...] = ()
    unfinished: int = 0
    reported: bool = False

    def to_json(self) -> str:
        """The result as JSON, from which `from_json` makes an equal one."""
        return _RESULT.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "TestResult":
        """The result that `to_json` wrote; anything else is a ValueError."""
        return _RESULT.validate_json(text)


_RESULT = TypeAdapter(TestResult)


@dataclass(frozen=True)
class Verdict:
    """Whether a tree may land, and why.

    `new_failures` are those that the base does not have (all of them, where there is no base to compare with);
    `base_failures` names every test that fails on the base.
    """

    passed: bool
    reason: str
    new_failures: tuple[TestFailure, ...]
    base_failures: tuple[str, ...]


def judge(result: TestResult, base: TestResult | None) -> Verdict:
    """Decide whether a result is good enough to land, given that of the base (None when it was not measured).

    Passed is exit status 0 with at least one test passed and nothing that speaks against it: tests that failed, died or
    never ran, code imported from another checkout. Where the base is red, passed is: every test collected on the base
    is collected, all ran, and none fails that does not fail on the base. What cannot be compared has not passed.
    """
    base_failures = tuple(sorted(set(base.failed_tests))) if base else ()
    new_failures = _new_failures(result, frozenset(base_failures))
    reason = _obstacle(result)
    if reason is None and result.exit_status == 0:
        if not result.failed_tests:
            return Verdict(True, _green(result), (), base_failures)
        reason = f"the test command ended with 0 although tests failed: {_names(result.failed_tests)}"
    if reason is None and base is not None and base.exit_status != 0:
        reason = _worse_than_base(result, base, new_failures)
        if reason is None:
            count = "1 test" if len(base_failures) == 1 else f"{len(base_failures)} tests"
            return Verdict(True, f"base already red: {count}", (), base_failures)
    return Verdict(False, reason or _red(result, result.failed_tests), new_failures, base_failures)


def _obstacle(result: TestResult) -> str | None:
    """Why a result cannot count as passed whatever the base did, or None."""
    crashed = [failure.test for failure in result.failures if failure.kind == "crash"]
    uncollected = [failure.test for failure in result.failures if failure.kind == "collection"]
    missing_runner = result.exit_status == RUNNER_MISSING_STATUS and not result.reported
    status = f"exit status {result.exit_status}"
    obstacles = (
        (
            bool(result.foreign_imports),
            f"the tests ran other code than the tree under test: {', '.join(result.foreign_imports)}; add the folder "
            "that holds the package to pytest's `pythonpath` setting, or point `[test] python` at an interpreter "
            "without an editable install of this project",
        ),
        (
            result.timed_out,
            f"the tests were ended after {result.seconds:.0f} s (`[test] timeout_seconds`) in {_names(crashed)}",
        ),
        (missing_runner, f"the test command could not be run: {result.detail}"),
        (bool(crashed), f"the test process died ({status}) in {_names(crashed)}"),
        (bool(uncollected), f"tests could not be collected: {_names(uncollected)}"),
        (result.reported and not result.collected, f"no tests were found ({status})"),
        (bool(result.unfinished), f"{result.unfinished} of {len(result.collected)} tests did not run ({status})"),
        (result.reported and not (result.passed or result.failed), f"no test ran: all {result.skipped} were skipped"),
    )
    return next((reason for holds, reason in obstacles if holds), None)


def _worse_than_base(result: TestResult, base: TestResult, new_failures: tuple[TestFailure, ...]) -> str | None:
    """Why a red result is worse than a red base, or cannot be compared with it; None when it is no worse."""
    if new_failures:
        return _red(result, tuple(failure.test for failure in new_failures))
    if not (result.reported and base.reported):
        return f"{_red(result, ())}; the base is red too, and without a report of single tests they cannot be compared"
    if any(failure.kind == "crash" for failure in base.failures) or base.timed_out or base.foreign_imports:
        return f"{_red(result, result.failed_tests)}; the tests of the base did not run to their end to compare with"
    missing = tuple(sorted(set(base.collected) - set(result.collected)))
    if missing:
        return f"the base is red, and tests it has are gone: {_names(missing)}"
    if result.exit_status != 1 or not result.failed_tests:
        return f"the test command ended with {result.exit_status} for another reason than a failing test"
    return None


def _new_failures(result: TestResult, base_failures: frozenset[str]) -> tuple[TestFailure, ...]:
    kept = {failure.test: failure for failure in result.failures}
    new = [test for test in result.failed_tests if test not in base_failures]
    unknown = [TestFailure(test, "its details were not kept", "", (), "failed") for test in new if test not in kept]
    return (*(kept[test] for test in new if test in kept), *unknown)[:KEPT_FAILURES]


def _green(result: TestResult) -> str:
    if not result.reported:
        return "the test command ended with 0"
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    return f"{result.passed} passed{skipped}"


def _red(result: TestResult, tests: tuple[str, ...]) -> str:
    if not tests:
        return f"the test command ended with {result.exit_status}"
    count = "1 test failed" if len(tests) == 1 else f"{len(tests)} tests failed"
    return f"{count}: {_names(tests)}"


def _names(tests: Sequence[str]) -> str:
    more = f" and {len(tests) - _NAMED} more" if len(tests) > _NAMED else ""
    return ", ".join(tests[:_NAMED]) + more
