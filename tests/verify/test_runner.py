"""Real runs of real projects: what the runner says is what happened."""

import json
import os
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from graftline.verify.detect import TestCommand
from graftline.verify.result import SESSION, TestFailure, TestResult, judge

RunProject = Callable[..., Awaitable[TestResult]]

SHOP = {
    "shop/__init__.py": "",
    "shop/cart.py": "def total(cart):\n    return cart['sum']\n",
    "shop/api.py": (
        "from shop.cart import total\n\n"
        "def price(cart):\n    try:\n        return total(cart)\n"
        "    except KeyError as error:\n        raise ValueError('no price') from error\n"
    ),
    "tests/test_shop.py": """
import pytest
from shop.api import price

def test_good(): assert price({'sum': 1}) == 1
def test_wrong(): assert price({'sum': 1}) == 2, 'too dear'
def test_chained(): price({})

@pytest.fixture
def broken(): raise RuntimeError('in set-up')
def test_set_up(broken): pass

@pytest.fixture
def late():
    yield
    raise RuntimeError('in tear-down')
def test_tear_down(late): pass
def test_both(late): raise KeyError('in call')

@pytest.mark.xfail(strict=True)
def test_unexpected(): pass
@pytest.mark.xfail
def test_expected(): raise ValueError
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.parametrize('word', ['a b::c[é]/..', '-x @file'])
def test_words(word): raise LookupError(word)
""",
}


def named(failures: tuple[TestFailure, ...]) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    return {failure.test: (failure.kind, failure.message.partition("\n")[0], failure.files) for failure in failures}


async def test_each_outcome_is_counted_and_each_failure_is_explained(run_project: RunProject) -> None:
    result = await run_project(SHOP)

    test = "tests/test_shop.py"
    expected = {
        f"{test}::test_wrong": ("failed", "AssertionError: too dear", (test,)),
        f"{test}::test_chained": ("failed", "ValueError: no price", (test, "shop/api.py", "shop/cart.py")),
        f"{test}::test_set_up": ("error", "RuntimeError: in set-up", (test,)),
        f"{test}::test_tear_down": ("error", "RuntimeError: in tear-down", (test,)),
        f"{test}::test_both": ("failed", "KeyError: 'in call'", (test,)),
        f"{test}::test_unexpected": ("failed", "[XPASS(strict)]", ()),
        f"{test}::test_words[a b::c[\\xe9]/..]": ("failed", "LookupError: a b::c[é]/..", (test,)),
        f"{test}::test_words[-x @file]": ("failed", "LookupError: -x @file", (test,)),
    }
    assert named(result.failures) == expected
    assert result.failed_tests == tuple(expected)
    assert (result.exit_status, result.passed, result.failed, result.skipped) == (1, 1, 8, 2)
    assert result.skipped_tests == (f"{test}::test_expected", f"{test}::test_skipped")
    assert len(result.collected) == 11
    assert (result.unfinished, result.reported, result.timed_out) == (0, True, False)
    both = next(failure for failure in result.failures if failure.test.endswith("test_both"))
    assert "in call" in both.trace
    assert "in tear-down" in both.trace


async def test_collection_error_does_not_hide_the_other_tests(run_project: RunProject) -> None:
    result = await run_project(
        {
            "shop.py": "",
            "test_bad.py": "from shop import nothing\n",
            "test_syntax.py": "def (:\n",
            "sub/conftest.py": "import nowhere\n",
            "sub/test_hidden.py": "def test_hidden(): pass\n",
            "test_good.py": "def test_good(): pass\n",
        }
    )

    found = named(result.failures)
    assert found["test_bad.py"][0] == "collection"
    assert found["test_bad.py"][1].startswith("ImportError: cannot import name 'nothing' from 'shop'")
    assert found["test_bad.py"][2] == ("test_bad.py", "shop.py")
    assert found["test_syntax.py"][2] == ("test_syntax.py",)
    assert found["sub"][1:] == ("ModuleNotFoundError: No module named 'nowhere'", ("sub/conftest.py",))
    assert (result.collected, result.passed) == (("test_good.py::test_good",), 1)
    assert judge(result, None).reason.startswith("tests could not be collected: ")


async def test_broken_root_conftest_is_a_collection_error_that_names_it(run_project: RunProject) -> None:
    result = await run_project({"conftest.py": "import nowhere\n", "test_a.py": "def test_a(): pass\n"})

    assert named(result.failures) == {
        "conftest.py": ("collection", "ModuleNotFoundError: No module named 'nowhere'", ("conftest.py",))
    }
    assert not judge(result, None).passed


@pytest.mark.parametrize("status", [0, 3])
async def test_crash_names_the_test_it_happened_in_whatever_the_exit_status(
    run_project: RunProject, status: int
) -> None:
    result = await run_project(
        {
            "test_a.py": "import os\ndef test_before(): pass\n"
            f"def test_dies(): os._exit({status})\ndef test_after(): pass\n"
        }
    )

    assert [(failure.test, failure.kind, failure.files) for failure in result.failures] == [
        ("test_a.py::test_dies", "crash", ("test_a.py",))
    ]
    assert (result.exit_status, result.passed, result.unfinished) == (status, 1, 2)
    verdict = judge(result, None)
    assert (verdict.passed, verdict.new_failures) == (False, result.failures)
    assert verdict.reason == f"the test process died (exit status {status}) in test_a.py::test_dies"


async def test_crash_during_collection_names_the_file(run_project: RunProject) -> None:
    result = await run_project({"test_a.py": "def test_a(): pass\n", "test_b.py": "import os\nos._exit(0)\n"})

    assert [(failure.test, failure.kind) for failure in result.failures] == [("test_b.py", "crash")]
    assert not judge(result, None).passed


async def test_session_that_never_came_to_its_end_has_not_passed(run_project: RunProject) -> None:
    result = await run_project(
        {
            "conftest.py": "import os\ndef pytest_runtestloop(): os._exit(0)\n",
            "test_a.py": "def test_a(): pass\n",
        }
    )

    assert [(failure.test, failure.kind) for failure in result.failures] == [(SESSION, "crash")]
    assert not judge(result, None).passed


async def test_child_that_carries_on_with_the_session_does_not_speak_for_its_parent(run_project: RunProject) -> None:
    forks = (
        "import os\ndef test_forks():\n    child = os.fork()\n"
        "    if child:\n        os.waitpid(child, 0)\n        os._exit(4)\n"
    )
    result = await run_project({"test_a.py": forks})

    assert [(failure.test, failure.kind) for failure in result.failures] == [("test_a.py::test_forks", "crash")]


async def test_project_that_ends_the_process_after_its_last_test_passes(run_project: RunProject) -> None:
    result = await run_project(
        {
            "conftest.py": "import os\ndef pytest_sessionfinish(exitstatus): os._exit(int(exitstatus))\n",
            "test_a.py": "def test_a(): pass\n",
        }
    )

    assert judge(result, None).passed


@pytest.mark.parametrize("stop", ["raise KeyboardInterrupt", "pytest.exit('enough', returncode=0)"])
async def test_session_that_a_test_stops_has_not_passed(run_project: RunProject, stop: str) -> None:
    result = await run_project(
        {"test_a.py": f"import pytest\ndef test_stops():\n    {stop}\ndef test_after(): assert False\n"}
    )

    assert [(failure.test, failure.kind) for failure in result.failures] == [("test_a.py::test_stops", "crash")]
    assert not judge(result, None).passed


async def test_time_limit_ends_the_run_and_names_the_test_that_hung(run_project: RunProject) -> None:
    hangs = "import threading\ndef test_fine(): pass\ndef test_hangs(): threading.Event().wait()\n"
    result = await run_project({"test_a.py": hangs}, timeout_seconds=3)

    assert (result.timed_out, result.passed) == (True, 1)
    assert [(failure.test, failure.kind) for failure in result.failures] == [("test_a.py::test_hangs", "crash")]
    assert "`[test] timeout_seconds`" in judge(result, None).reason


async def test_tree_without_tests_has_not_passed(run_project: RunProject) -> None:
    result = await run_project({"shop.py": ""})

    assert (result.exit_status, result.collected, result.failures) == (5, (), ())
    assert judge(result, None).reason == "no tests were found (exit status 5)"


async def test_exit_status_that_a_conftest_forges_does_not_hide_red_tests(run_project: RunProject) -> None:
    result = await run_project(
        {
            "conftest.py": "def pytest_sessionfinish(session): session.exitstatus = 0\n",
            "test_a.py": "def test_red(): assert False\n",
        }
    )

    assert result.exit_status == 0
    verdict = judge(result, None)
    assert not verdict.passed
    assert [failure.test for failure in verdict.new_failures] == ["test_a.py::test_red"]


async def test_tests_get_a_private_environment_and_leave_the_worktree_as_it_was(
    run_project: RunProject, worktree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    seen = tmp_path / "seen.json"
    files = {
        "src/shop/__init__.py": "",
        "test_a.py": "import json, os, pathlib, subprocess, sys, tempfile\nimport shop\ndef test_environment():\n"
        f"    pathlib.Path({str(seen)!r}).write_text(json.dumps(dict(os.environ)))\n"
        "    pathlib.Path(tempfile.gettempdir(), 'left').touch()\n"
        "def test_nested():\n"
        "    subprocess.run([sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', 'inner.py'], check=True)\n",
        "inner.py": "def test_inner(): pass\n",
    }
    result = await run_project(files)

    assert judge(result, None).passed
    assert result.collected == ("test_a.py::test_environment", "test_a.py::test_nested")
    environment = json.loads(seen.read_text())
    assert not [name for name in environment if name.startswith(("GRAFTLINE_", "ANTHROPIC_")) or "ADDOPTS" in name]
    assert environment["HOME"] == str(tmp_path / "run 0" / "home")
    assert environment["PYTHONPATH"].split(os.pathsep)[1:] == [str(worktree / "src"), str(worktree)]
    assert not Path(environment["TMPDIR"]).exists()
    assert {path.name for path in (tmp_path / "run 0").iterdir()} == {"tests.log", "tests.log.stderr", "report.jsonl"}
    assert {str(path.relative_to(worktree)) for path in worktree.rglob("*") if path.is_file()} == set(files)


async def test_project_configuration_that_stops_early_or_names_a_cache_is_no_hindrance(run_project: RunProject) -> None:
    result = await run_project(
        {
            "pytest.ini": "[pytest]\naddopts = -x --lf --strict-config\ncache_dir = .cache\nfilterwarnings = error\n",
            "test_a.py": "def test_red(): assert False\ndef test_green(): pass\n",
        }
    )

    assert (result.exit_status, result.passed, result.failed_tests) == (1, 1, ("test_a.py::test_red",))


async def test_only_the_tests_asked_for_run_whatever_their_ids_hold(run_project: RunProject) -> None:
    asked = ["tests/test_shop.py::test_words[a b::c[\\xe9]/..]", "tests/test_shop.py::test_words[-x @file]"]
    result = await run_project(SHOP, only=asked)

    assert (result.collected, result.failed_tests) == (tuple(asked), tuple(asked))


async def test_test_ids_are_relative_to_the_worktree_wherever_the_configuration_lies(
    run_project: RunProject, project_python: Path
) -> None:
    command = TestCommand(("python", "-m", "pytest", "packages/a"), "command", str(project_python))
    result = await run_project(
        {"packages/a/pytest.ini": "[pytest]\n", "packages/a/test_a.py": "def test_a(): pass\n"}, command=command
    )

    assert (result.collected, result.reported) == (("packages/a/test_a.py::test_a",), True)


@pytest.mark.parametrize("plant", ["os.unlink(report)", "os.unlink(report); os.symlink(other, report)"])
async def test_report_that_a_test_deletes_or_replaces_is_read_all_the_same(
    run_project: RunProject, tmp_path: Path, plant: str
) -> None:
    report, other = str(tmp_path / "run 0" / "report.jsonl"), str(tmp_path / "other")
    Path(other).write_text('{"event": "finish"}\n')
    result = await run_project(
        {
            "test_a.py": f"import os\nreport, other = {report!r}, {other!r}\n"
            f"def test_plants():\n    {plant}\ndef test_red(): assert False\n"
        }
    )

    assert (result.passed, result.failed_tests) == (1, ("test_a.py::test_red",))
    assert Path(other).read_text() == '{"event": "finish"}\n'


async def test_link_in_place_of_the_report_is_not_written_to_and_the_exit_status_decides(
    run_project: RunProject, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.touch()
    plant = (
        "import os\nreport = os.environ['GRAFTLINE_TASK_TEST_REPORT']\n"
        f"os.unlink(report)\nos.symlink({str(other)!r}, report)\n"
    )
    green = await run_project({"sitecustomize.py": plant, "test_a.py": "def test_a(): pass\n"})
    red = await run_project({"test_a.py": "def test_a(): assert False\n"})

    assert other.read_text() == ""
    assert (green.reported, judge(green, None).passed) == (False, True)
    assert (red.reported, judge(red, None).passed) == (False, False)


async def test_report_that_is_emptied_leaves_the_exit_status_to_decide(run_project: RunProject, tmp_path: Path) -> None:
    report = str(tmp_path / "run 0" / "report.jsonl")
    red = await run_project({"test_a.py": f"def test_a():\n    open({report!r}, 'w').close()\n    assert False\n"})

    assert red.exit_status == 1
    assert not judge(red, red).passed


@pytest.fixture
def editable_python(project_python: Path, tmp_path: Path) -> TestCommand:
    """The project's interpreter with the user's checkout installed editable in it, by a `.pth` file."""
    checkout = tmp_path / "checkout"
    (checkout / "lib" / "shop").mkdir(parents=True)
    (checkout / "lib" / "shop" / "__init__.py").write_text("ORIGIN = 'checkout'\n")
    folder = tmp_path / "editable"
    folder.mkdir()
    base = project_python.parent.parent
    (folder / "bin").symlink_to(base / "bin")
    [packages] = base.glob("lib/python*/site-packages")
    own = folder / packages.relative_to(base)
    own.mkdir(parents=True)
    for entry in packages.iterdir():
        (own / entry.name).symlink_to(entry)
    (own / "editable.pth").write_text(f"{checkout / 'lib'}\n")
    (folder / "pyvenv.cfg").write_text((base / "pyvenv.cfg").read_text())
    python = str(folder / "bin" / "python")
    return TestCommand((python, "-m", "pytest"), "pytest", python)


@pytest.mark.parametrize("place", ["shop", "src/shop"])
async def test_editable_install_does_not_hide_the_tree_under_test(
    run_project: RunProject, editable_python: TestCommand, place: str
) -> None:
    result = await run_project(
        {
            f"{place}/__init__.py": "ORIGIN = 'worktree'\n",
            "tests/test_origin.py": "import shop\ndef test_origin(): assert shop.ORIGIN == 'worktree'\n",
        },
        command=editable_python,
    )

    assert (result.foreign_imports, judge(result, None).passed) == ((), True)


async def test_package_imported_from_another_checkout_has_not_passed(
    run_project: RunProject, editable_python: TestCommand, tmp_path: Path
) -> None:
    result = await run_project(
        {"lib/shop/__init__.py": "", "tests/test_shop.py": "import shop\ndef test_a(): pass\n"}, command=editable_python
    )

    origin = tmp_path / "checkout" / "lib" / "shop" / "__init__.py"
    assert (result.exit_status, result.foreign_imports) == (0, (f"shop ({origin})",))
    verdict = judge(result, None)
    assert not verdict.passed
    assert "`pythonpath`" in verdict.reason


async def test_command_that_is_not_pytest_counts_by_its_exit_status(run_project: RunProject) -> None:
    script = "import sys\nprint('cart.js:3: wrong')\nsys.exit(int(sys.argv[1]))\n"
    files = {"check.py": script, "cart.js": ""}
    green = await run_project(files, command=TestCommand((sys.executable, "check.py", "0"), "command", None))
    red_command = TestCommand((sys.executable, "check.py", "7"), "command", None)
    red = await run_project(command=red_command)

    assert (green.exit_status, green.failures, judge(green, None).passed) == (0, (), True)
    name = shlex.join(red_command.argv)
    assert red.failures == (TestFailure(name, "it ended with 7", "cart.js:3: wrong\n", ("cart.js",), "failed"),)
    assert (red.detail, red.reported, judge(red, None).passed) == ("cart.js:3: wrong\n", False, False)
    assert "cannot be compared" in judge(red, red).reason


async def test_command_that_the_work_removed_has_not_passed(run_project: RunProject) -> None:
    result = await run_project(command=TestCommand(("./run-tests.sh",), "command", None))

    assert result.exit_status == 127
    assert judge(result, result).reason.startswith("the test command could not be run: ")


async def test_red_base_lets_through_what_is_no_worse(run_project: RunProject) -> None:
    tests = "def test_old(): assert False\ndef test_good(): pass\n"
    base = await run_project({"test_a.py": tests})
    same = judge(await run_project({"test_b.py": "def test_new(): pass\n"}), base)
    worse = judge(await run_project({"test_b.py": "def test_new(): assert False\n"}), base)
    gone = judge(await run_project({"test_a.py": "def test_old(): assert False\n", "test_b.py": ""}), base)

    assert (same.passed, same.reason, same.base_failures) == (
        True,
        "base already red: 1 test",
        ("test_a.py::test_old",),
    )
    assert (worse.passed, [failure.test for failure in worse.new_failures]) == (False, ["test_b.py::test_new"])
    assert (gone.passed, gone.reason) == (
        False,
        "the base is red, and tests it has are gone: test_a.py::test_good",
    )


async def test_session_failure_inside_pytest_is_reported(run_project: RunProject) -> None:
    result = await run_project(
        {
            "conftest.py": "def pytest_collection_modifyitems(items): 1 / 0\n",
            "test_a.py": "def test_a(): pass\n",
        }
    )

    assert named(result.failures)[SESSION][:2] == (
        "crash",
        "pytest failed internally: ZeroDivisionError: division by zero",
    )
    assert not judge(result, None).passed
