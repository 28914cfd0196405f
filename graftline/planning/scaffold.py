"""The scaffold: a plan's acceptance tests on the tree that nobody has worked on yet, where every one of them must fail.

A test that passes already tells nothing of the work, and one that cannot be collected is no test: both go back to who
wrote them. What is found is kept, so that whoever plans again after a crash says the same to the model.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from graftline.errors import CannotRunError, Problem
from graftline.git.trees import add_files
from graftline.journal import EventKind
from graftline.plan import Plan
from graftline.private_files import make_folder, write_file
from graftline.run import Run
from graftline.text import plain_end, plain_line
from graftline.verify.baseline import baseline_key
from graftline.verify.detect import TestCommand
from graftline.verify.result import TestFailure, TestResult
from graftline.verify.runner import run_tests
from graftline.workspace import workspace_for_tests

MOST_SECONDS = 600.0
"""Tests of work that is not there have little to do; one that hangs is found out by then."""
_CANNOT_RUN = "the tests of this repository cannot be run, so no acceptance test can be tried"
_SHOWN_TESTS = 5
_MESSAGE_CHARS = 400
_FORMAT = 1  # part of every key: raise it when findings are reached in another way
_ABSOLUTE = re.compile(r"(?<![\w./:])/[\w.@+~-][\w./@+~-]*")


@dataclass(frozen=True)
class ScaffoldCheck:
    """What is wrong with acceptance tests, and what a person should know of how they were tried."""

    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


CheckScaffold = Callable[[Plan], Awaitable[ScaffoldCheck]]
"""Tries the acceptance tests of a plan on the tree they are written for."""

_CHECK = TypeAdapter(ScaffoldCheck)


@dataclass(frozen=True)
class Bench:
    """Where the acceptance tests of plans are tried: on `base`, in a worktree at `worktree` that is gone afterwards.

    `command` and `tools` are what tests the repository, and what that runs on. `folder` keeps logs and findings. The
    latest scaffold is kept on `ref` in the hub.
    """

    run: Run
    base: str
    command: TestCommand | None
    tools: str
    folder: Path
    worktree: Path
    ref: str

    async def check(self, plan: Plan) -> ScaffoldCheck:
        """What is wrong with the acceptance tests of a plan; each must be collected, and fail.

        Raises:
            CannotRunError: the tests of this repository cannot be run at all, whatever the plan says.
        """
        files = {path: content for task in plan.tasks for path, content in task.acceptance.items()}
        if not files:
            return ScaffoldCheck()
        commit = await self._commit(plan, files)
        if self.command is None:
            return ScaffoldCheck(notes=("the acceptance tests were not tried: the settings say not to test",))
        if not self.command.is_pytest:
            return ScaffoldCheck(
                notes=("the acceptance tests were not tried on the base: only pytest tells one test from another",)
            )
        place = (
            self.folder
            / f"{_digest(baseline_key(await self.run.hub.tree_of(commit), self.command, self.tools), plan)}.json"
        )
        found = _read(place)
        if found is None:
            found = await self._try(plan, commit, self.command, files)
            write_file(place, _CHECK.dump_json(found))
        return found

    async def _commit(self, plan: Plan, files: Mapping[str, str]) -> str:
        """The base with all acceptance tests in it, the same commit each time, on its ref."""
        hub = self.run.hub
        date = (await hub.run(["log", "-1", "--no-show-signature", "--format=%ct", self.base])).text
        tree = await add_files(hub, self.base, files)
        title = f"Add the acceptance tests of {plan.title or 'the plan'}"
        commit = await hub.commit_tree(tree, [self.base], title, {}, date=f"@{date} +0000")
        await hub.update_ref(self.ref, commit)
        return commit

    async def _try(self, plan: Plan, commit: str, command: TestCommand, files: Mapping[str, str]) -> ScaffoldCheck:
        run = self.run
        run.journal.append(EventKind.VERIFY_STARTED, label="scaffold", commit=commit, command=list(command.argv))
        folder = make_folder(self.folder)
        async with workspace_for_tests(run, commit, path=self.worktree, folder=folder) as (worktree, problem):
            if problem:
                raise CannotRunError(problem)
            result = await run_tests(
                command,
                worktree=worktree.path,
                folder=folder,
                environ=run.environ,
                timeout_seconds=min(MOST_SECONDS, run.settings.test.timeout_seconds),
                only=sorted(files),
                on_start=run.recording("tests"),
            )
            _check_can_run(result, files)
            problems = judge_scaffold(plan, result, hide=(worktree.path, folder))
        notes = tuple(f"the acceptance tests ran other code than the base: {one}" for one in result.foreign_imports)
        return ScaffoldCheck(problems, notes)


def judge_scaffold(plan: Plan, result: TestResult, *, hide: tuple[Path, ...] = ()) -> tuple[Problem, ...]:
    """What is wrong with a plan's acceptance tests, going by a run of them on the base.

    `hide` are places on this machine that no message may tell.
    """
    died = any(failure.kind == "crash" for failure in result.failures)
    return tuple(
        Problem(_without_places(message, hide), task=task.id)
        for task in plan.tasks
        for path in task.acceptance
        for message in _faults(plan, path, result, died=died)
    )


def _faults(plan: Plan, path: str, result: TestResult, *, died: bool) -> Iterator[str]:
    """What is wrong with one acceptance test file; where the process died, of the others little can be said."""
    own = [failure for failure in result.failures if _file_of(failure.test) == path]
    if broken := [failure for failure in own if failure.kind == "collection"]:
        yield (
            f"{path!r} cannot be collected on the repository as it is: {_said(broken[0])}; import what does not exist "
            "yet inside the test functions"
        )
        return
    for failure in own:
        if failure.kind == "crash":
            yield f"{_named([failure.test])} ended the test process, or did not end: {_said(failure)}"
        elif _is_own_fault(plan, failure, path):
            yield f"{_named([failure.test])} fails by its own mistake, which no work can put right: {_said(failure)}"
    tests = [test for test in result.collected if _file_of(test) == path]
    if died:
        return
    if not tests:
        yield f"no test of {path!r} is collected by the test command: it needs tests, where and named as the others are"
        return
    failed, skipped = set(result.failed_tests), set(result.skipped_tests)
    if idle := [test for test in tests if test in skipped and test not in failed]:
        yield f"{_named(idle)}: skipped or expected to fail on the repository as it is; it must fail"
    if passed := [test for test in tests if test not in failed and test not in skipped]:
        yield f"{_named(passed)}: passes on the repository as it is, so it cannot tell when the task is done"


def _is_own_fault(plan: Plan, failure: TestFailure, path: str) -> bool:
    """Whether a test fails for a name, or a fixture, that it uses and that no task can give it."""
    if re.match(r"fixture '.*' not found", failure.message):
        places = [str(folder / "conftest.py") for folder in PurePosixPath(path).parents]
        return not any(task.may_write(place) for task in plan.tasks for place in places)
    return failure.message.startswith("NameError: ") and failure.files[-1:] == (path,)


def _check_can_run(result: TestResult, files: Mapping[str, str]) -> None:
    """Raise CannotRunError where the test run failed for what is no acceptance test's doing."""
    if not result.reported:
        raise CannotRunError(f"{_CANNOT_RUN}: {result.detail}")
    others = [failure for failure in result.failures if _file_of(failure.test) not in files]
    for failure in others:
        if failure.kind == "crash" or (failure.kind == "collection" and Path(failure.test).name == "conftest.py"):
            raise CannotRunError(f"{_CANNOT_RUN}: {failure.test}: {failure.message}\n{plain_end(failure.trace, 2_000)}")


def _file_of(test: str) -> str:
    return test.partition("::")[0]


def _named(tests: list[str]) -> str:
    more = f" and {len(tests) - _SHOWN_TESTS} more" if len(tests) > _SHOWN_TESTS else ""
    return ", ".join(f"'{plain_line(test, 200)}'" for test in tests[:_SHOWN_TESTS]) + more


def _said(failure: TestFailure) -> str:
    return plain_line(failure.message, _MESSAGE_CHARS)


def _without_places(text: str, places: tuple[Path, ...]) -> str:
    """A text from a test run without the places of this machine in it: a path there is shown by its name alone."""
    for place in {each for one in places for each in (str(one), str(one.resolve()))}:
        text = text.replace(f"{place}/", "").replace(place, ".")
    return _ABSOLUTE.sub(lambda found: _name_if_there(found[0]), text)


def _name_if_there(path: str) -> str:
    return f"…/{Path(path).name}" if Path(path).exists() else path


def _digest(key: str, plan: Plan) -> str:
    """Names what was found of a plan's scaffold: the tree, how it was tested, and whose test is whose."""
    owners = [[task.id, sorted(task.acceptance)] for task in plan.tasks]
    return hashlib.sha256(json.dumps([_FORMAT, key, owners]).encode()).hexdigest()[:32]


def _read(place: Path) -> ScaffoldCheck | None:
    """What was found before; None when nothing was, or it cannot be read."""
    try:
        return _CHECK.validate_json(place.read_bytes())
    except (OSError, ValidationError):
        return None
