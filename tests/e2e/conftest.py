"""Fixtures for tests that drive real agent CLIs: the pinned programs, and the scripted model they talk to."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import anyio
import pytest

from graftline.server import stop_server
from tests.e2e.clis import CLIS, Cli, CliMissingError
from tests.e2e.graftline_process import Agents, Graftline
from tests.e2e.mixed_plan import Landed, run_mixed_plan
from tests.model_server import ModelServer


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A scripted model of the test's own; give it a scenario before an agent asks it anything."""
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="session")
def installed_clis() -> Mapping[Cli, Path]:
    """The program of every CLI, in the version that package.json pins."""
    try:
        return {cli: cli.find() for cli in CLIS}
    except CliMissingError as missing:
        reason = f"{missing}; `make agents` installs the agent CLIs"
        # In CI, where the CLIs are part of the set-up, a skip would hide a hole.
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One state directory for all runs: the first starts its Prefect server and keeps it, which takes seconds."""
    folder = tmp_path_factory.mktemp("graftline-state")
    yield folder
    assert anyio.run(stop_server, folder), "somebody still uses the server of a state directory no run of which is left"


@pytest.fixture
def graftline(
    installed_clis: Mapping[Cli, Path],
    state_dir: Path,
    isolated_environment: Path,
    tmp_path: Path,
    model_server: ModelServer,
) -> Graftline:
    """Graftline, whose agents talk to the test's own model."""
    agents = Agents.around(installed_clis, tmp_path / "agents", model_server)
    return Graftline(agents, state_dir, isolated_environment)


@pytest.fixture(scope="session")
def landed(installed_clis: Mapping[Cli, Path], state_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """The plan for all CLIs, run once for all files that look at it."""
    return run_mixed_plan(installed_clis, state_dir, tmp_path_factory.mktemp("mixed"))
