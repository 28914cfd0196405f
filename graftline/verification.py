"""Verification of commits: the suite in a fresh worktree, judged against the base, remembered by tree."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from graftline.git.worktrees import Worktree
from graftline.journal import EventKind
from graftline.private_files import make_folder
from graftline.run import Run
from graftline.verify.baseline import baseline_key, load_baseline, save_baseline
from graftline.verify.confirm import Confirmation, confirm_failures
from graftline.verify.detect import TestCommand
from graftline.verify.result import RUNNER_MISSING_STATUS, TestResult, Verdict, judge
from graftline.verify.runner import run_tests
from graftline.workspace import workspace_for_tests

UNTESTED = Verdict(passed=True, reason='untested: [test] runner = "none"', new_failures=(), base_failures=())


@dataclass(frozen=True)
class Verified:
    """What is known of one commit; `result` is None when the settings say not to test."""

    commit: str
    tree: str
    result: TestResult | None
    verdict: Verdict


async def verify_base(run: Run) -> TestResult | None:
    """The suite on the tree the run started from, so that only new failures count; remembered across runs."""
    return await _suite(run, run.base, label="base")


async def verdict_of(run: Run, commit: str, label: str, *, fresh: bool = False) -> Verified:
    """The verdict on a candidate: its suite, judged against the base's. `fresh` runs it again although it is known."""
    result = await _suite(run, commit, label=label, fresh=fresh)
    verdict = UNTESTED if result is None else judge(result, await verify_base(run))
    return Verified(commit=commit, tree=await run.hub.tree_of(commit), result=result, verdict=verdict)


async def verify_candidate(run: Run, commit: str, label: str, *, number: int = 0, fresh: bool = False) -> Verified:
    """The verdict on a candidate, written into the journal; `number` is the round of healing that made it."""
    verified = await verdict_of(run, commit, label, fresh=fresh)
    run.journal.append(
        EventKind.VERIFY_ENDED,
        label=label,
        round=number,
        commit=commit,
        tree=verified.tree,
        passed=verified.verdict.passed,
        reason=verified.verdict.reason,
        tests=None if verified.result is None else tests_section(verified.result, verified.verdict),
    )
    return verified


async def confirm(run: Run, verified: Verified, label: str) -> Confirmation:
    """Which of a candidate's new failures fail again; nobody is paid to fix a test that passes on its own."""
    failures = verified.verdict.new_failures
    command = run.test_command
    if command is None:
        return Confirmation(failures, (), None)
    async with _test_workspace(run, verified.commit, label) as (worktree, folder, problem):
        if problem:
            return Confirmation(failures, (), None)
        confirmation = await confirm_failures(
            command,
            failures,
            worktree=worktree.path,
            folder=folder,
            environ=run.environ,
            timeout_seconds=run.settings.test.timeout_seconds,
            on_start=run.recording("tests"),
        )
    for failure in confirmation.flaky:
        run.journal.append(EventKind.WARNING, text=f"flaky: {failure.test} failed once and passed when run again")
    return confirmation


def tests_section(result: TestResult, verdict: Verdict) -> dict[str, JsonValue]:
    """A test run as the journal and the report keep it."""
    return {
        "command": list(result.command),
        "exit_code": result.exit_status,
        "passed": result.passed if result.reported else None,
        "failed": result.failed if result.reported else None,
        "failures": [{"test": failure.test, "message": failure.message} for failure in verdict.new_failures],
        "base_failures": list(verdict.base_failures),
    }


async def _suite(run: Run, commit: str, *, label: str, fresh: bool = False) -> TestResult | None:
    """The suite's result on a commit, or the one already known of the same tree with the same command and tools."""
    command = run.test_command
    if command is None:
        return None
    key = baseline_key(await run.hub.tree_of(commit), command, run.test_tools)
    known = None if fresh else load_baseline(run.folder.store.baselines, key)
    if known is not None and not _is_doubted(run, commit, key, known):
        return known
    run.journal.append(EventKind.VERIFY_STARTED, label=label, commit=commit, command=list(command.argv))
    async with _test_workspace(run, commit, label) as (worktree, folder, problem):
        if problem:
            return not_started(command, problem)
        result = await run_tests(
            command,
            worktree=worktree.path,
            folder=folder,
            environ=run.environ,
            timeout_seconds=run.settings.test.timeout_seconds,
            on_start=run.recording("tests"),
        )
    save_baseline(run.folder.store.baselines, key, result)
    run.tested.add(key)
    return result


def _is_doubted(run: Run, commit: str, key: str, known: TestResult) -> bool:
    """Whether a known result has to be seen again: a red one, when a person had a run entered again because of it."""
    return run.is_entered_again and known.exit_status != 0 and commit != run.base and key not in run.tested


def not_started(command: TestCommand, problem: str) -> TestResult:
    """The result of tests that could not be started: nothing passed."""
    return TestResult(
        command=command.argv,
        exit_status=RUNNER_MISSING_STATUS,
        passed=0,
        failed=0,
        skipped=0,
        collected=(),
        failures=(),
        seconds=0.0,
        timed_out=False,
        detail=problem,
        foreign_imports=(),
    )


@asynccontextmanager
async def _test_workspace(run: Run, commit: str, label: str) -> AsyncIterator[tuple[Worktree, Path, str]]:
    """A worktree to test a commit in, the folder for what the tests leave, and what went wrong in setting it up."""
    folder, path = make_folder(run.folder.verify(label)), run.folder.verify_worktree(label)
    async with workspace_for_tests(run, commit, path=path, folder=folder) as (worktree, problem):
        yield worktree, folder, problem
