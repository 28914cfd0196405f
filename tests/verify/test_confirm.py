"""Only what fails again is worth paying for."""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from graftline.verify.confirm import Confirmation, confirm_failures
from graftline.verify.detect import TestCommand
from graftline.verify.result import TestResult

RunProject = Callable[..., Awaitable[TestResult]]


async def confirm(command: TestCommand, result: TestResult, worktree: Path, folder: Path) -> Confirmation:
    return await confirm_failures(
        command, result.failures, worktree=worktree, folder=folder, environ=os.environ, timeout_seconds=60
    )


async def test_test_that_passes_the_second_time_is_flaky_and_the_rest_is_confirmed(
    run_project: RunProject, project_command: TestCommand, worktree: Path, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    result = await run_project(
        {
            "test_a.py": f"""
import os, pathlib, pytest
def runs(name):
    count = pathlib.Path({str(count)!r} + name)
    count.write_text(count.read_text() + 'x' if count.exists() else 'x')
    return len(count.read_text())

@pytest.mark.parametrize('word', ['a b::c[é]'])
def test_flaky(word): assert runs('flaky') == 2
def test_red(): raise LookupError(runs('red'))
def test_skips_then():
    if runs('skips') == 2: pytest.skip('not now')
    assert False
def test_green(): assert runs('green') == 1
""",
            "test_gone.py": "import nowhere\n",
        }
    )
    confirmation = await confirm(project_command, result, worktree, tmp_path / "rerun")

    assert [failure.test for failure in confirmation.flaky] == ["test_a.py::test_flaky[a b::c[\\xe9]]"]
    confirmed = [(failure.test, failure.message.partition("\n")[0]) for failure in confirmation.confirmed]
    assert confirmed == [
        ("test_gone.py", "ModuleNotFoundError: No module named 'nowhere'"),
        ("test_a.py::test_red", "LookupError: 2"),
        ("test_a.py::test_skips_then", "assert False"),
    ]
    assert confirmation.rerun is not None
    assert "test_a.py::test_green" not in confirmation.rerun.collected


async def test_file_that_can_be_collected_the_second_time_is_flaky_when_its_tests_pass(
    run_project: RunProject, project_command: TestCommand, worktree: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    once = (
        f"import pathlib\nmarker = pathlib.Path({str(marker)!r} + __name__)\n"
        "first = not marker.exists()\nmarker.touch()\n"
    )
    raises = "if first: raise RuntimeError('first time')\n"
    result = await run_project(
        {
            "test_good.py": f"{once}{raises}def test_a(): pass\n",
            "test_bad.py": f"{once}{raises}def test_a(): assert False\n",
        }
    )
    confirmation = await confirm(project_command, result, worktree, tmp_path / "rerun")

    assert [failure.test for failure in confirmation.flaky] == ["test_good.py"]
    assert [failure.test for failure in confirmation.confirmed] == ["test_bad.py"]


async def test_command_that_is_not_pytest_runs_again_as_a_whole(
    run_project: RunProject, worktree: Path, tmp_path: Path
) -> None:
    script = (
        "import pathlib, sys\nmarker = pathlib.Path(sys.argv[1])\n"
        "sys.exit(0 if marker.exists() else marker.touch() or 1)\n"
    )
    flaky = TestCommand((sys.executable, "check.py", str(tmp_path / "marker")), "command", None)
    confirmation = await confirm(
        flaky, await run_project({"check.py": script}, command=flaky), worktree, tmp_path / "a"
    )
    assert (len(confirmation.flaky), confirmation.confirmed) == (1, ())

    red = TestCommand((sys.executable, "-c", "raise SystemExit(2)"), "command", None)
    result = await run_project(command=red)
    confirmation = await confirm(red, result, worktree, tmp_path / "b")
    assert (confirmation.flaky, confirmation.confirmed) == ((), result.failures)


async def test_no_failures_run_nothing(worktree: Path, tmp_path: Path) -> None:
    command = TestCommand(("/nowhere/python", "-m", "pytest"), "pytest", None)
    confirmation = await confirm_failures(
        command, (), worktree=worktree, folder=tmp_path / "rerun", environ={}, timeout_seconds=1
    )
    assert confirmation == Confirmation((), (), None)
