"""Fixtures for tests that drive real agent CLIs: the pinned binaries, and the scripted model they talk to."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import anyio
import pytest

from graftline.server import stop_server
from tests.e2e.graftline_process import Graftline, RecordedClaude
from tests.model_server import ModelServer

_FOLDER = Path(__file__).parent
_CLAUDE_PACKAGE = "@anthropic-ai/claude-code"
_BINARY_VARIABLE = "E2E_CLAUDE_BINARY"


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A scripted model of the test's own; give it a scenario before an agent asks it anything."""
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="session")
def claude_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Claude Code CLI in the version that package.json pins, or the one `E2E_CLAUDE_BINARY` names."""
    named = os.environ.get(_BINARY_VARIABLE)
    if named:
        binary = Path(named).absolute()
        if not os.access(binary, os.X_OK):
            pytest.fail(f"{_BINARY_VARIABLE}={named} is not an executable file")
        return binary
    pinned = json.loads((_FOLDER / "package.json").read_text())["dependencies"][_CLAUDE_PACKAGE]
    # The native binary of this platform's own package, and not `.bin/claude`: that one is a stub that refuses to work
    # where npm was told to run no install scripts.
    packages = (_FOLDER / "node_modules" / _CLAUDE_PACKAGE).parent
    binaries = sorted(packages.glob(f"{Path(_CLAUDE_PACKAGE).name}-*/claude"))
    if not binaries:
        _cannot_run(f"the Claude Code CLI {pinned} is not installed")
    environment = {"PATH": os.defpath, "HOME": str(tmp_path_factory.mktemp("claude-version"))}
    versions = {_version(binary, environment): binary for binary in binaries}
    if pinned not in versions:
        _cannot_run(f"the tests are for the Claude Code CLI {pinned}, installed is {', '.join(versions)}")
    return versions[pinned]


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One state directory for all runs: the first starts its Prefect server and keeps it, which takes seconds."""
    folder = tmp_path_factory.mktemp("graftline-state")
    yield folder
    assert anyio.run(stop_server, folder), "somebody still uses the server of a state directory no run of which is left"


@pytest.fixture
def graftline(
    claude_binary: Path, state_dir: Path, isolated_environment: Path, tmp_path: Path, model_server: ModelServer
) -> Graftline:
    """Graftline, whose Claude Code talks to the test's own model."""
    claude = RecordedClaude.around(claude_binary, tmp_path / "bin")
    return Graftline(claude, state_dir, isolated_environment, model_server.url)


def _version(binary: Path, environment: dict[str, str]) -> str:
    """What a CLI says its version is, or how it failed; npm may install a build this machine cannot run (musl)."""
    try:
        done = subprocess.run(
            [binary, "--version"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    except OSError as error:
        return f"unusable ({error.strerror})"
    return done.stdout.split(" ")[0].strip() or f"unusable (exit status {done.returncode})"


def _cannot_run(reason: str) -> NoReturn:
    """Skip on a developer's machine; in CI, where the CLIs are part of the set-up, a skip would hide a hole."""
    advice = f"{reason}; `make agents` installs it, {_BINARY_VARIABLE} names another one"
    if os.environ.get("CI") == "true":
        pytest.fail(advice)
    pytest.skip(advice)
