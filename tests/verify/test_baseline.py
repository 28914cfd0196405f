"""The base's result is kept whole or not at all, and never for another tree, command or environment."""

from dataclasses import replace
from pathlib import Path

import pytest

from graftline.verify.baseline import baseline_key, load_baseline, save_baseline
from graftline.verify.detect import TestCommand
from graftline.verify.result import TestFailure, TestResult

RESULT = TestResult(
    command=("python", "-m", "pytest"),
    exit_status=1,
    passed=1,
    failed=1,
    skipped=0,
    collected=("a.py::é", "a.py::b"),
    failures=(TestFailure("a.py::é", "assert 1 == 2", "trace", ("a.py",), "failed"),),
    seconds=0.25,
    timed_out=False,
    detail="1 failed",
    foreign_imports=(),
    failed_tests=("a.py::é",),
    reported=True,
)
COMMAND = TestCommand(("python", "-m", "pytest"), "pytest", "/usr/bin/python3")


def test_saved_result_is_loaded_again_under_its_key_only(tmp_path: Path) -> None:
    folder = tmp_path / "baselines"
    assert load_baseline(folder, "key") is None
    assert save_baseline(folder, "key", RESULT)

    assert load_baseline(folder, "key") == RESULT
    assert load_baseline(folder, "other") is None
    [file] = folder.iterdir()
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_file_that_is_broken_or_of_another_shape_counts_as_none(tmp_path: Path) -> None:
    save_baseline(tmp_path, "key", RESULT)
    file = tmp_path / "key.json"
    for content in (b"\xff", b"{}", file.read_bytes()[:-5]):
        file.write_bytes(content)
        assert load_baseline(tmp_path, "key") is None


@pytest.mark.parametrize(
    "result",
    [
        replace(RESULT, timed_out=True),
        replace(RESULT, exit_status=-9),
        replace(RESULT, exit_status=127),
        replace(RESULT, failures=(replace(RESULT.failures[0], kind="crash"),)),
    ],
)
def test_run_that_came_to_no_end_is_not_kept(tmp_path: Path, result: TestResult) -> None:
    assert not save_baseline(tmp_path, "key", result)
    assert list(tmp_path.iterdir()) == []


def test_key_depends_on_everything_the_result_depends_on() -> None:
    keys = {
        baseline_key("tree", COMMAND, "tools"),
        baseline_key("other", COMMAND, "tools"),
        baseline_key("tree", COMMAND, "other"),
        baseline_key("tree", replace(COMMAND, argv=("python", "-m pytest")), "tools"),
        baseline_key("tree", replace(COMMAND, python="/usr/bin/python3.12"), "tools"),
        baseline_key("tree", replace(COMMAND, runner="command"), "tools"),
    }
    assert len(keys) == 6
    assert baseline_key("tree", COMMAND, "tools") in keys
