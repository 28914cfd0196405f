"""Which command tests a repository, and whether it can run here: found out before anything is spent."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from graftline.errors import CannotRunError, SettingsError
from graftline.process import Command, Ending, Limits, run_process
from graftline.settings import TestSettings
from graftline.text import excerpt
from graftline.verify.environment import build_environment, virtual_environment

OLDEST_PYTEST = 7
CHECK_SECONDS = 60
_WHAT_TO_DO = 'Set `[test] command` to the command that tests it, or `[test] runner = "none"` to land untested.'

_PYTEST_SECTIONS = {
    "pyproject.toml": "[tool.pytest",
    "setup.cfg": "[tool:pytest]",
    "tox.ini": "[pytest]",
}
_PYTEST_FILES = frozenset({"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "conftest.py"})
_LAUNCHERS = frozenset({"uv", "poetry", "pdm", "hatch", "pipenv", "rye"})

# Prints versions, then what is installed: a baseline measured with other packages is another baseline.
_CHECK = """
import hashlib, os, platform, sys
try:
    import pytest
    version = pytest.__version__
except ImportError:
    version = "none"
installed = sorted({
    name for folder in sys.path if os.path.isdir(folder) for name in os.listdir(folder)
    if name.endswith((".dist-info", ".egg-info", ".pth", ".egg-link"))
})
digest = hashlib.sha256("\\n".join(installed).encode("utf-8", "replace")).hexdigest()[:16]
print("graftline-check", platform.python_version(), version, digest)
"""


@dataclass(frozen=True)
class TestCommand:
    """What runs the tests. `python` is the project's interpreter, whose environment leads PATH; None: not found.

    `pass_env` names the variables of graftline's own environment that the tests get.
    """

    __test__ = False

    argv: tuple[str, ...]
    runner: Literal["pytest", "command"]
    python: str | None
    pass_env: tuple[str, ...] = ()

    @property
    def is_pytest(self) -> bool:
        """Whether what runs is a pytest that heeds PYTEST_ADDOPTS and PYTHONPATH, so that our reporter gets loaded."""
        return self.runner == "pytest" or is_pytest_call(self.argv)


def find_test_command(
    settings: TestSettings, folder: Path, environ: Mapping[str, str], *, tracked: Sequence[str]
) -> TestCommand | None:
    """The command that tests the repository at `folder`; None when the settings say that it lands untested.

    `tracked` are the repository's files, as git lists them. The interpreter is `[test] python`, else `$VIRTUAL_ENV`,
    else the repository's `.venv`, else `python3`. The environment graftline itself runs in comes after the `.venv`,
    though: it is often the active one without being the project's. Raises SettingsError when nothing is found.
    """
    if settings.runner == "none":
        return None
    if settings.command and settings.runner == "pytest":
        raise SettingsError(
            '`[test] command` and `[test] runner = "pytest"` contradict each other: remove one of them.'
        )
    if settings.command:
        argv = (_located(settings.command[0], folder, frozenset(tracked)), *settings.command[1:])
        return TestCommand(argv, "command", _find_python(settings, folder, environ), tuple(settings.pass_env))
    if settings.runner == "command":
        raise SettingsError(
            '`[test] runner = "command"` needs `[test] command`, the argv to run, such as ["make", "test"].'
        )
    if settings.runner == "auto" and not has_pytest_tests(tracked, lambda name: _read_if_there(folder / name)):
        raise SettingsError(f"No tests were found in {folder}: no pytest configuration, no test files. {_WHAT_TO_DO}")
    python = _find_python(settings, folder, environ)
    if python is None:
        raise SettingsError(f"No Python was found to test {folder} with. Set `[test] python`. {_WHAT_TO_DO}")
    return TestCommand((python, "-m", "pytest"), "pytest", python, tuple(settings.pass_env))


async def check_test_command(command: TestCommand, *, folder: Path, environ: Mapping[str, str]) -> str:
    """Make sure that the command can be started; returns what it runs on, as one line that goes into `baseline_key`.

    `folder` is a folder of the check's own. Raises CannotRunError with what to do. Nothing is run but the interpreter:
    a command of the user's own is only looked up.
    """
    home, temporary = folder / "home", folder / "tmp"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary.mkdir(mode=0o700, exist_ok=True)
    env = build_environment(environ, python=command.python, pass_env=command.pass_env, home=home, temporary=temporary)
    if command.runner == "command":
        _require_executable(command.argv[0], env)
    if command.python is None:
        return "no python"
    lines: list[str] = []
    try:
        result = await run_process(
            Command((command.python, "-c", _CHECK), cwd=folder, env=env),
            log=folder / "check.log",
            limits=Limits(wall_seconds=CHECK_SECONDS),
            on_line=lines.append,
        )
    except CannotRunError as error:
        raise CannotRunError(f"The project's interpreter cannot be run: {error}. Set `[test] python`.") from error
    found = next((line.split() for line in reversed(lines) if line.startswith("graftline-check ")), [])
    if result.ending is not Ending.EXITED or result.status != 0 or len(found) != 4:
        what = excerpt(result.tail, 2_000).strip()
        raise CannotRunError(f"{command.python} does not work ({result.status}): {what}. Set `[test] python`.")
    _, python_version, pytest_version, installed = found
    if command.runner == "pytest":
        _require_pytest(command, pytest_version)
    return f"python {python_version}, pytest {pytest_version}, installed {installed}"


def is_pytest_call(argv: Sequence[str]) -> bool:
    """Whether the argv starts pytest itself: by name, as `python -m pytest`, or through a launcher such as `uv run`."""
    names = [PurePosixPath(argument).name for argument in argv]
    if names[0] == "env":
        rest = [index for index, argument in enumerate(argv) if index and "=" not in argument]
        return bool(rest) and not argv[rest[0]].startswith("-") and is_pytest_call(argv[rest[0] :])
    if names[0] in ("pytest", "py.test"):
        return True
    if names[0] in _LAUNCHERS and "run" in names:
        return "pytest" in names[names.index("run") + 1 :]
    if names[0].startswith("python") or names[:2] == ["coverage", "run"]:
        module = argv.index("-m") if "-m" in argv else len(argv)
        # -E and -I make the interpreter deaf to PYTHONPATH: pytest would fail to load our reporter.
        isolated = any(flag.startswith("-") and set(flag[1:]) & {"E", "I"} for flag in argv[1:module])
        return list(argv[module : module + 2]) == ["-m", "pytest"] and not isolated
    return False


def has_pytest_tests(tracked: Sequence[str], read: Callable[[str], str]) -> bool:
    """Whether the tracked files hold tests for pytest or settings of it; `read` gives the text of one at the root."""
    for path in map(PurePosixPath, tracked):
        test_folder = path.suffix == ".py" and bool({"test", "tests"} & set(path.parts[:-1]))
        if path.name in _PYTEST_FILES or path.match("test_*.py") or path.match("*_test.py") or test_folder:
            return True
    return any(section in read(name) for name, section in _PYTEST_SECTIONS.items() if name in tracked)


def _read_if_there(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _find_python(settings: TestSettings, folder: Path, environ: Mapping[str, str]) -> str | None:
    path = environ.get("PATH", os.defpath)
    if settings.python:
        is_path = "/" in settings.python
        named = str(folder / Path(settings.python).expanduser()) if is_path else settings.python
        found = shutil.which(named, path=path)
        if found is None:
            raise SettingsError(f"`[test] python` is {settings.python!r}, and there is no such program ({named}).")
        return found
    active = environ.get("VIRTUAL_ENV")
    own = active is not None and os.path.realpath(active) == os.path.realpath(sys.prefix)
    places = [folder / ".venv"]
    if active:
        places.insert(1 if own else 0, Path(active))
    for python in (place / "bin" / name for place in places for name in ("python", "python3")):
        if os.access(python, os.X_OK):
            return str(python)
    return shutil.which("python3", path=path)


def _located(program: str, folder: Path, tracked: frozenset[str]) -> str:
    """The program as a worktree finds it: what the repository has but git does not track is in no worktree."""
    if "/" not in program or Path(program).is_absolute() or os.path.normpath(program) in tracked:
        return program
    place = os.path.normpath(folder / program)
    if not Path(place).is_file():
        raise SettingsError(f"`[test] command` starts {program!r}, and {folder} has no such file.")
    return place


def _require_executable(program: str, env: Mapping[str, str]) -> None:
    if ("/" not in program or Path(program).is_absolute()) and shutil.which(program, path=env["PATH"]) is None:
        raise CannotRunError(f"`[test] command` starts {program!r}, which is not an executable on PATH. {_WHAT_TO_DO}")


def _require_pytest(command: TestCommand, version: str) -> None:
    python = shlex.quote(command.python or "")
    if version == "none":
        where = "its environment" if command.python and virtual_environment(command.python) else "it"
        raise CannotRunError(
            f"{command.python} runs the tests, and pytest is not installed in {where}. Install it ({python} -m pip "
            f"install pytest), or name the project's interpreter in `[test] python`. {_WHAT_TO_DO}"
        )
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST_PYTEST:
        raise CannotRunError(f"{command.python} has pytest {version}; {OLDEST_PYTEST} or newer is needed. Upgrade it.")
