"""Which command is found, and what is said where none can be."""

import os
import sys
from pathlib import Path

import pytest

from graftline.errors import CannotRunError, SettingsError
from graftline.settings import TestSettings
from graftline.verify.detect import TestCommand, check_test_command, find_test_command, is_pytest_call

TRACKED = ("shop/cart.py", "tests/test_cart.py")


def make_python(environment: Path, script: str = "#!/bin/sh\n") -> str:
    """A virtual environment as far as looking for one goes; its interpreter is a script."""
    python = environment / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(script)
    python.chmod(0o755)
    (environment / "pyvenv.cfg").touch()
    return str(python)


def find(
    folder: Path, environ: dict[str, str] | None = None, tracked: tuple[str, ...] = TRACKED, **settings: object
) -> TestCommand | None:
    environ = {"PATH": os.environ["PATH"]} if environ is None else environ
    return find_test_command(TestSettings.model_validate(settings), folder, environ, tracked=tracked)


def test_interpreter_is_looked_for_in_its_order(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    set_python = make_python(tmp_path / "set")
    active = make_python(tmp_path / "active")
    on_path = tmp_path / "path" / "python3"
    on_path.parent.mkdir()
    on_path.symlink_to(set_python)
    environ = {"PATH": str(on_path.parent), "VIRTUAL_ENV": str(tmp_path / "active")}
    own = {"PATH": str(on_path.parent), "VIRTUAL_ENV": sys.prefix}

    def found(environ: dict[str, str], **settings: object) -> str | None:
        command = find(folder, environ, **settings)  # type: ignore[arg-type]  # settings are checked by their model
        assert command is not None
        assert command.argv == (command.python, "-m", "pytest")
        return command.python

    assert found({"PATH": str(on_path.parent)}) == str(on_path)
    assert found(own) == str(Path(sys.prefix, "bin", "python"))
    repository = make_python(folder / ".venv")
    assert found({"PATH": ""}) == repository
    assert found(own) == repository
    assert found(environ) == active
    assert found(environ, python="../set/bin/python") == str(folder / "../set/bin/python")
    assert found(environ, python="python3") == str(on_path)


@pytest.mark.parametrize(
    "tracked",
    [
        ("pytest.ini",),
        ("conftest.py",),
        ("a/b/test_cart.py",),
        ("a/cart_test.py",),
        ("tests/cart.py",),
        ("a/test/cart.py",),
    ],
)
def test_tests_are_recognised_among_the_tracked_files(tmp_path: Path, tracked: tuple[str, ...]) -> None:
    command = find(tmp_path, tracked=tracked)
    assert command is not None
    assert command.runner == "pytest"


@pytest.mark.parametrize(
    ("name", "section"),
    [("pyproject.toml", "[tool.pytest.ini_options]"), ("setup.cfg", "[tool:pytest]"), ("tox.ini", "[pytest]")],
)
def test_configuration_counts_by_its_section(tmp_path: Path, name: str, section: str) -> None:
    (tmp_path / name).write_text("[other]\n")
    with pytest.raises(SettingsError):
        find(tmp_path, tracked=(name,))
    (tmp_path / name).write_text(f"[other]\n{section}\n")
    assert find(tmp_path, tracked=(name,)) is not None


@pytest.mark.parametrize("tracked", [(), ("shop/cart.py", "testing.py", "docs/tests.md", "contest/a.py")])
def test_nothing_found_is_an_error_that_names_both_ways_out(tmp_path: Path, tracked: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match=r"`\[test\] command`.*`\[test\] runner = \"none\"`"):
        find(tmp_path, tracked=tracked)


def test_settings_decide_before_anything_is_looked_for(tmp_path: Path) -> None:
    assert find(tmp_path, tracked=(), runner="none", command=["make"]) is None
    assert find(tmp_path, {"PATH": ""}, tracked=(), command=["make", "test"]) == TestCommand(
        ("make", "test"), "command", None
    )
    forced = find(tmp_path, tracked=(), runner="pytest")
    assert forced is not None
    assert forced.runner == "pytest"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"runner": "command"}, "needs `[test] command`"),
        ({"runner": "pytest", "command": ["pytest"]}, "contradict each other"),
        ({"python": "no-such-python"}, "`[test] python` is 'no-such-python'"),
        ({"python": "./no-such-python"}, "`[test] python` is './no-such-python'"),
        ({"command": ["./no-such-script"]}, "has no such file"),
    ],
)
def test_settings_that_cannot_work_are_named(tmp_path: Path, settings: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        find(tmp_path, **settings)  # type: ignore[arg-type]  # settings are checked by their model
    assert says in str(caught.value)


def test_no_python_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Set `\[test\] python`"):
        find(tmp_path, {"PATH": str(tmp_path)})


def test_program_that_git_does_not_track_is_taken_from_the_repository(tmp_path: Path) -> None:
    python = make_python(tmp_path / ".venv")

    def program(name: str, tracked: tuple[str, ...]) -> str:
        command = find(tmp_path, tracked=tracked, command=[name, "-m", "pytest"])
        assert command is not None
        return command.argv[0]

    assert program(".venv/bin/python", TRACKED) == python
    assert program("./run.sh", ("run.sh",)) == "./run.sh"
    assert program("make", ()) == "make"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("pytest -q tests", True),
        (".venv/bin/pytest", True),
        ("python -m pytest", True),
        ("/usr/bin/python3.12 -W error -m pytest -x", True),
        ("uv run pytest", True),
        ("uv run --extra test python -m pytest", True),
        ("poetry run pytest", True),
        ("coverage run -m pytest", True),
        ("env CI=1 pytest", True),
        ("python -I -m pytest", False),
        ("env -i pytest", False),
        ("env", False),
        ("python -m unittest", False),
        ("python run.py pytest", False),
        ("pip install pytest", False),
        ("uv pip install pytest", False),
        ("make test", False),
        ("tox", False),
    ],
)
def test_reporter_goes_into_pytest_calls_only(argv: str, expected: bool) -> None:
    assert is_pytest_call(argv.split()) is expected


async def test_check_passes_and_says_what_it_runs_on(project_command: TestCommand, tmp_path: Path) -> None:
    tools = await check_test_command(project_command, folder=tmp_path, environ=os.environ)

    version = ".".join(map(str, sys.version_info[:3]))
    assert tools.startswith(f"python {version}, pytest {pytest.__version__}, installed ")
    command = TestCommand(("sh", "-c", "true"), "command", None)
    assert await check_test_command(command, folder=tmp_path, environ=os.environ) == "no python"


async def test_what_is_installed_is_part_of_what_a_command_runs_on(
    project_command: TestCommand, tmp_path: Path
) -> None:
    before = await check_test_command(project_command, folder=tmp_path / "a", environ=os.environ)
    assert project_command.python is not None
    packages = next(Path(project_command.python).parent.parent.glob("lib/python*/site-packages"))
    added = packages / "added-1.0.dist-info"
    added.mkdir()
    try:
        after = await check_test_command(project_command, folder=tmp_path / "b", environ=os.environ)
    finally:
        added.rmdir()

    assert before != after


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("graftline-check 3.11.7 none abc", "pytest is not installed in its environment. Install it ("),
        ("graftline-check 3.8.1 6.2.5 abc", "has pytest 6.2.5; 7 or newer is needed"),
        ("something else", "does not work (0): something else"),
    ],
)
async def test_interpreter_that_cannot_run_the_tests_is_an_error_that_says_what_to_do(
    tmp_path: Path, answer: str, says: str
) -> None:
    python = make_python(tmp_path / "env", f"#!/bin/sh\necho {answer}\n")
    with pytest.raises(CannotRunError) as caught:
        await check_test_command(TestCommand((python, "-m", "pytest"), "pytest", python), folder=tmp_path, environ={})
    assert says in str(caught.value)


async def test_program_that_is_not_there_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="starts 'no-such-program'"):
        await check_test_command(
            TestCommand(("no-such-program",), "command", None), folder=tmp_path, environ={"PATH": "/usr/bin"}
        )
    python = str(tmp_path / "python")
    with pytest.raises(CannotRunError, match="interpreter cannot be run"):
        await check_test_command(TestCommand((python,), "pytest", python), folder=tmp_path, environ={})
