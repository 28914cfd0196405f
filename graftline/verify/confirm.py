"""Runs failed tests once more, so that nobody is paid to fix one that fails by chance."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graftline.process import OnStart
from graftline.verify.detect import TestCommand
from graftline.verify.result import SESSION, TestFailure, TestResult, judge
from graftline.verify.runner import run_tests


@dataclass(frozen=True)
class Confirmation:
    """Which failures are real.

    `flaky` are those whose test passed when it ran again. A rerun is evidence, not proof: the tree is no better for it
    and has not passed. `rerun` is the second run, None when there was nothing to run.
    """

    confirmed: tuple[TestFailure, ...]
    flaky: tuple[TestFailure, ...]
    rerun: TestResult | None


async def confirm_failures(
    command: TestCommand,
    failures: Sequence[TestFailure],
    *,
    worktree: Path,
    folder: Path,
    environ: Mapping[str, str],
    timeout_seconds: float,
    on_start: OnStart | None = None,
) -> Confirmation:
    """Run the tests that failed, and only those, once more in a fresh process; `folder` is this rerun's own.

    A failure counts as flaky only when its test was seen to pass; whatever cannot be run alone is confirmed. A failure
    that no single test stands for (the session, a command that is not pytest) has everything run again. A confirmed
    failure carries the details of the rerun, where it has them.
    """
    if not failures:
        return Confirmation((), (), None)
    whole = any(failure.test in _whole_run(command) for failure in failures)
    rerun = await run_tests(
        command,
        worktree=worktree,
        folder=folder,
        environ=environ,
        timeout_seconds=timeout_seconds,
        only=() if whole else [failure.test for failure in failures],
        on_start=on_start,
    )
    again = {failure.test: failure for failure in rerun.failures}
    flaky = tuple(failure for failure in failures if _passes(failure, rerun, command))
    confirmed = tuple(again.get(failure.test, failure) for failure in failures if failure not in flaky)
    return Confirmation(confirmed, flaky, rerun)


def _whole_run(command: TestCommand) -> tuple[str, str]:
    """The names a failure has when it is of the run as a whole."""
    return (SESSION, shlex.join(command.argv))


def _passes(failure: TestFailure, rerun: TestResult, command: TestCommand) -> bool:
    """Whether the rerun saw what had failed pass: it ran, to its end, and was neither red nor skipped."""
    if failure.test in _whole_run(command):
        return judge(rerun, None).passed
    if rerun.timed_out or rerun.unfinished or any(again.kind == "crash" for again in rerun.failures):
        return False
    # A collection error names a file: every test in it has to pass.
    meant = {test for test in rerun.collected if test == failure.test or test.startswith(f"{failure.test}::")}
    return bool(meant) and not (meant | {failure.test}) & {*rerun.failed_tests, *rerun.skipped_tests}
