"""Runs a tree's tests, in a process of their own, and says what happened."""

import contextlib
import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from graftline.errors import CannotRunError
from graftline.git.folders import remove
from graftline.process import Command, Ending, Limits, OnStart, ProcessResult, run_process
from graftline.text import excerpt
from graftline.verify.detect import TestCommand
from graftline.verify.environment import build_environment, pytest_options, source_path
from graftline.verify.report import Report, open_report, read_report, relative_files
from graftline.verify.result import (
    DETAIL_BYTES,
    KEPT_FAILURES,
    RUNNER_MISSING_STATUS,
    SESSION,
    TRACE_BYTES,
    TestFailure,
    TestResult,
)

# Copied, under a name of its own, into a folder of its own: this package's folder on PYTHONPATH would hide modules.
_REPORTER = Path(__file__).with_name("pytest_reporter.py")
_PLUGIN = "graftline_pytest_reporter"
CACHE = "cache"

_PLACE = re.compile(r'File "([^"\n]{1,500})", line \d+|([\w./+@-]{1,500}\.\w{1,10}):\d+')
_PLACE_COUNT = 500


def home_of_tests(folder: Path) -> Path:
    """Where HOME points in tests whose folder this is; nothing else that runs has that one."""
    return folder / "home"


async def run_tests(
    command: TestCommand,
    *,
    worktree: Path,
    folder: Path,
    environ: Mapping[str, str],
    timeout_seconds: float,
    only: Sequence[str] = (),
    on_start: OnStart | None = None,
) -> TestResult:
    """Run the test command in a worktree, and read what our reporter said of it.

    `folder` is this run's own: the output (`tests.log`) and the report stay there. `only` holds tests,
    as failures name them, to run nothing else; a command that is not pytest runs whole. Red tests, a time limit and a
    command that cannot be started are results, not errors. `on_start` gets the process the moment it runs.
    """
    worktree = worktree.resolve()
    home, plugins = home_of_tests(folder), folder / "plugins"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    plugins.mkdir(mode=0o700, exist_ok=True)
    # Not in `folder`, whose path may leave too little of the 108 bytes that the path of a socket can have.
    temporary = Path(tempfile.mkdtemp(prefix="graftline-"))
    try:
        env = build_environment(
            environ, python=command.python, pass_env=command.pass_env, home=home, temporary=temporary
        )
        python_path = source_path(worktree)
        with open_report(folder / "report.jsonl") as stream:
            if command.is_pytest:
                shutil.copyfile(_REPORTER, plugins / f"{_PLUGIN}.py")
                python_path.insert(0, str(plugins.resolve()))
                env.update(_reporter_variables(folder.resolve(), worktree, only))
            env["PYTHONPATH"] = os.pathsep.join(python_path)
            try:
                ended = await run_process(
                    Command(command.argv, cwd=worktree, env=env),
                    log=folder / "tests.log",
                    limits=Limits(wall_seconds=timeout_seconds),
                    on_start=on_start,
                )
            except CannotRunError as error:
                # An agent may have removed the script that runs the tests: the work failed, not this machine.
                ended = ProcessResult(RUNNER_MISSING_STATUS, Ending.EXITED, 0.0, str(error))
            report = await anyio.to_thread.run_sync(lambda: read_report(stream, worktree=worktree))
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_discard, (temporary, home, plugins, folder / CACHE))
    return _result(command, ended, report, worktree)


def _discard(folders: Sequence[Path]) -> None:
    """Delete what only served this run of the tests: homes and caches may be any size."""
    for folder in folders:
        with contextlib.suppress(OSError):
            remove(folder)


def _reporter_variables(folder: Path, worktree: Path, only: Sequence[str]) -> dict[str, str]:
    variables = {
        "PYTEST_ADDOPTS": pytest_options(plugin=_PLUGIN, worktree=worktree, cache=folder / CACHE),
        "GRAFTLINE_TASK_TEST_REPORT": str(folder / "report.jsonl"),
        "GRAFTLINE_TASK_TEST_WORKTREE": str(worktree),
    }
    if only:
        # In a file, since a variable holds 128 kB at most.
        selection = folder / "only.json"
        selection.write_text(json.dumps(list(only)))
        variables["GRAFTLINE_TASK_TEST_ONLY"] = str(selection)
    return variables


def _result(command: TestCommand, ended: ProcessResult, report: Report, worktree: Path) -> TestResult:
    detail = excerpt(ended.tail, DETAIL_BYTES)
    timed_out = ended.ending is not Ending.EXITED
    failures = {failure.test: failure for failure in report.failures}
    failed_tests = dict.fromkeys(report.failed_tests)
    for failure in _process_failures(command, ended, report, detail, worktree):
        failures[failure.test] = failure
        failed_tests[failure.test] = None
    return TestResult(
        command=command.argv,
        exit_status=ended.status,
        passed=report.passed,
        failed=len(failed_tests),
        skipped=len(report.skipped_tests),
        collected=report.collected,
        # A crash is why the run ended: it is kept even where there are too many failures to keep.
        failures=tuple(sorted(failures.values(), key=lambda failure: failure.kind != "crash"))[:KEPT_FAILURES],
        seconds=ended.seconds,
        timed_out=timed_out,
        detail=detail,
        foreign_imports=report.foreign_imports,
        failed_tests=tuple(failed_tests),
        skipped_tests=report.skipped_tests,
        unfinished=report.unfinished,
        reported=report.started,
    )


def _process_failures(
    command: TestCommand, ended: ProcessResult, report: Report, detail: str, worktree: Path
) -> list[TestFailure]:
    """What the end of the process says beyond the report: what it died in, or all there is to say without a report."""
    name = SESSION if report.started else shlex.join(command.argv)
    mentioned = _mentioned_files(detail, worktree)
    trace = excerpt(detail, TRACE_BYTES)
    # A conftest that cannot be imported is reported, and ends pytest before there is a session to finish.
    no_session = bool(report.failed_tests) and not report.collected
    told = not report.running and (report.finished or no_session)
    if ended.ending is not Ending.EXITED:
        message = f"it still ran when the time was up, after {ended.seconds:.0f} s"
    elif report.started and not told:
        ending = f"signal {-ended.status}" if ended.status < 0 else f"exit status {ended.status}"
        message = f"the tests ended with {ending} while it ran"
    elif not report.started and ended.status != 0:
        return [TestFailure(name, f"it ended with {ended.status}", trace, mentioned, "failed")]
    else:
        return []
    return [
        TestFailure(test, message, trace, mentioned or _file_of(test, worktree), "crash")
        for test in report.running or (name,)
    ]


def _file_of(test: str, worktree: Path) -> tuple[str, ...]:
    files = relative_files([test.partition("::")[0]], worktree)
    return tuple(file for file in files if (worktree / file).is_file())


def _mentioned_files(text: str, worktree: Path) -> tuple[str, ...]:
    """The worktree's files that a command's output names with a line number, in that order."""
    places = [match[1] or match[2] for match in _PLACE.finditer(text)][-_PLACE_COUNT:]
    return tuple(file for file in relative_files(places, worktree) if (worktree / file).is_file())
