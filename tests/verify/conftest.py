"""A bare interpreter with nothing but pytest, and one call that runs a tiny project's tests as graftline does."""

import importlib.util
import os
import venv
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from graftline.verify.detect import TestCommand
from graftline.verify.result import TestResult
from graftline.verify.runner import run_tests

PYTEST_AND_ITS_NEEDS = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments")


@pytest.fixture(scope="session")
def project_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment that holds pytest and no plugin: it starts in a fifth of the time."""
    folder = tmp_path_factory.mktemp("project") / ".venv"
    venv.create(folder, with_pip=False, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    for name in PYTEST_AND_ITS_NEEDS:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (packages / name).symlink_to(Path(spec.origin).parent)
        for metadata in Path(spec.origin).parent.parent.glob(f"{name}-*.dist-info"):
            (packages / metadata.name).symlink_to(metadata)
    py = importlib.util.find_spec("py")
    if py is not None and py.origin is not None:
        (packages / "py.py").symlink_to(py.origin)
    return folder / "bin" / "python"


@pytest.fixture
def project_command(project_python: Path) -> TestCommand:
    return TestCommand((str(project_python), "-m", "pytest"), "pytest", str(project_python))


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    folder = tmp_path / "work tree"
    folder.mkdir()
    return folder


@pytest.fixture
def run_project(tmp_path: Path, worktree: Path, project_command: TestCommand) -> Callable[..., Awaitable[TestResult]]:
    """Write files into the worktree and run its tests; the n-th call has the folder `run n` of its own."""
    calls = iter(range(100))

    async def run(
        files: Mapping[str, str] | None = None,
        *,
        command: TestCommand = project_command,
        only: Sequence[str] = (),
        timeout_seconds: float = 60,
    ) -> TestResult:
        for path, content in (files or {}).items():
            (worktree / path).parent.mkdir(parents=True, exist_ok=True)
            (worktree / path).write_text(content)
        return await run_tests(
            command,
            worktree=worktree,
            folder=tmp_path / f"run {next(calls)}",
            environ=os.environ,
            timeout_seconds=timeout_seconds,
            only=only,
        )

    return run
