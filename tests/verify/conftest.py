"""A tiny project under test, and one call that runs its tests as graftline does."""

import os
import sys
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from graftline.verify.detect import TestCommand
from graftline.verify.result import TestResult
from graftline.verify.runner import run_tests

PYTEST = TestCommand((sys.executable, "-m", "pytest"), "pytest", sys.executable)


class RunProject(Protocol):
    def __call__(
        self,
        files: Mapping[str, str] | None = None,
        *,
        command: TestCommand = PYTEST,
        only: Sequence[str] = (),
        timeout_seconds: float = 60,
    ) -> Awaitable[TestResult]: ...


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    folder = tmp_path / "work tree"
    folder.mkdir()
    return folder


@pytest.fixture
def run_project(tmp_path: Path, worktree: Path) -> RunProject:
    """Write the files into the worktree and run its tests; each call has a folder of its own."""
    calls = iter(range(100))

    async def run(
        files: Mapping[str, str] | None = None,
        *,
        command: TestCommand = PYTEST,
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
