"""Results of the base tree, kept on disk: the tests of one tree are run once, however many runs start from it."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from graftline.verify.detect import TestCommand
from graftline.verify.result import RUNNER_MISSING_STATUS, TestResult

_FORMAT = 1  # part of every key: raise it when results mean something else than they did


def baseline_key(tree: str, command: TestCommand, tools: str) -> str:
    """Names the result of one tree under one command; `tools` is what `check_test_command` returned.

    The interpreter's path counts as well: two environments with equal packages may differ in what they point at.
    """
    parts = [_FORMAT, tree, command.runner, command.argv, command.python, tools]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def load_baseline(folder: Path, key: str) -> TestResult | None:
    """The result kept under the key; None when there is none, or it cannot be read."""
    try:
        return TestResult.from_json((folder / f"{key}.json").read_text())
    except (OSError, ValueError):
        return None


def save_baseline(folder: Path, key: str, result: TestResult) -> bool:
    """Keep a result, whole or not at all; says whether it was kept.

    A run that timed out, died or could not start is not: that may be the machine's doing, and would
    be held against every later run.
    """
    incomplete = result.timed_out or any(failure.kind == "crash" for failure in result.failures)
    if incomplete or result.exit_status < 0 or result.exit_status == RUNNER_MISSING_STATUS:
        return False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=".new")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(result.to_json())
        Path(name).replace(folder / f"{key}.json")
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True
