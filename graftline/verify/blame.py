"""Which task a failure goes back to: a first guess from names and traces, with no test run spent on it."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from graftline.verify.result import TestFailure

_MISSING_MODULE = re.compile(r"No module named '([\w.]+)'")


def responsible_tasks(
    failures: Sequence[TestFailure],
    *,
    changed: Mapping[str, frozenset[str]],
    tests_of: Mapping[str, frozenset[str]],
    order: Sequence[str],
) -> dict[str, tuple[TestFailure, ...]]:
    """Give each failure to exactly one task: task id to its failures, in the order of integration.

    `changed` holds the files that each task's work changed, `tests_of` the tests (files, folders or ids) each owns,
    `order` the integrated tasks; others are not considered. The first of these that points at a task decides, and among
    several tasks the one integrated last, since it is with its work that the tree turned red:

    1. the task that owns the failing test, the closest match first (id, file, folder);
    2. the deepest file of the traceback that a task changed, then the frames above it, down to the test's own;
    3. the failing test's own file, which of a collection error is the one that could not be collected, then the module
       that was not found;
    4. the module that the test's file is named after (`tests/test_cart.py`: `cart.py`, or any file in `cart/`);
    5. the last task that changed a source file, then the last that changed any file, then the last.

    A guess, and no more: on injected faults the traceback alone named the guilty task in about half the cases. A
    failure that two tasks cause together goes to one of them.
    """
    if not order:
        return {}
    latest_first = list(reversed(order))

    def last_that(holds: Callable[[str], bool]) -> str | None:
        return next((task for task in latest_first if holds(task)), None)

    def changer_of(file: str) -> str | None:
        return last_that(lambda task: file in changed.get(task, frozenset()))

    def owner_of(test: str) -> str | None:
        closeness = {task: max((_closeness(test, own) for own in tests_of.get(task, ())), default=0) for task in order}
        best = max(closeness.values())
        return last_that(lambda task: closeness[task] == best) if best else None

    def first_changer(files: Sequence[str]) -> str | None:
        return next((task for task in map(changer_of, files) if task is not None), None)

    def changer_of_any(matches: Callable[[str], bool]) -> str | None:
        return last_that(lambda task: any(map(matches, changed.get(task, frozenset()))))

    def responsible(failure: TestFailure) -> str:
        test_file = failure.test.partition("::")[0]
        return (
            owner_of(failure.test)
            or first_changer(failure.files[::-1])
            or changer_of(test_file)
            or changer_of_any(lambda file: _defines(file, _missing_module(failure)))
            or changer_of_any(lambda file: _is_tested_by(file, test_file))
            or changer_of_any(lambda file: not _is_test_file(file))
            or changer_of_any(lambda _file: True)
            or latest_first[0]
        )

    found: dict[str, list[TestFailure]] = {}
    for failure in failures:
        found.setdefault(responsible(failure), []).append(failure)
    return {task: tuple(found[task]) for task in order if task in found}


def _closeness(test: str, own: str) -> int:
    """How closely something a task owns (id, file or folder) matches a test; 0 = not at all."""
    own = own.rstrip("/")
    is_part = test == own or any(test.startswith(own + mark) for mark in ("::", "[", "/"))
    return len(own) if is_part else 0


def _missing_module(failure: TestFailure) -> str:
    found = _MISSING_MODULE.search(failure.message) or _MISSING_MODULE.search(failure.trace)
    return found[1] if found else ""


def _defines(file: str, module: str) -> bool:
    """Whether the module is, or was before somebody removed it, this file."""
    place = module.replace(".", "/")
    return bool(module) and any(f"/{file}".endswith(f"/{place}{end}") for end in (".py", "/__init__.py"))


def _is_tested_by(file: str, test_file: str) -> bool:
    """Whether the test file is named after this one, or after a folder it is in."""
    stem = PurePosixPath(test_file).stem
    name = stem.removeprefix("test_").removesuffix("_test")
    path = PurePosixPath(file)
    return name not in ("", stem) and not _is_test_file(file) and name in (path.stem, *path.parent.parts)


def _is_test_file(file: str) -> bool:
    path = PurePosixPath(file)
    named = path.stem.startswith("test_") or path.stem.endswith("_test") or path.name == "conftest.py"
    return named or bool({"test", "tests"} & set(path.parts[:-1]))
