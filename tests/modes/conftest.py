"""One installation for all modes: the session's Prefect server, a serve process and a worker."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from graftline.server import read_address
from tests.modes.api import PrefectApi
from tests.modes.started import PATIENCE_SECONDS, Installation, Mode

ROOT = Path(__file__).parents[2]
SERVE = "from graftline.flows.build import build; build.serve(name={name!r}, limit=8, print_starting_message=False)"


@pytest.fixture(scope="session")
def installation(served_state_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The server and the environment of all processes of these tests; no agent sees the person's home."""
    address = read_address(served_state_dir)
    assert address is not None
    home = tmp_path_factory.mktemp("modes")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GRAFTLINE_STATE_DIR": str(served_state_dir),
        "DO_NOT_TRACK": "1",
        # How soon a run is picked up is Prefect's affair.
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    return Installation(PrefectApi(address.api_url), served_state_dir, environment)


@contextmanager
def serving(installation: Installation, name: str) -> Iterator[int]:
    """A Python process that serves `build`; its id. The deployment may come a little later."""
    with running(installation, Mode.SERVED, ["-c", SERVE.format(name=name)]) as pid:
        yield pid


@contextmanager
def working(installation: Installation, pool: str = "agents") -> Iterator[int]:
    """A worker of a pool, by default of the one that `prefect.yaml` names; its id. It makes the pool if need be."""
    arguments = ["-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    with running(installation, Mode.WORKER, arguments) as pid:
        yield pid


@contextmanager
def running(installation: Installation, mode: Mode, arguments: list[str]) -> Iterator[int]:
    """A Python process that goes on until the end of the block, with the processes that it has started."""
    home = Path(installation.environment["HOME"])
    with (home / f"{mode}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=home,
            env=installation.env(mode),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(api: PrefectApi, path: str, name: str) -> None:
    """Wait until something of that name is on the server."""
    deadline = monotonic() + PATIENCE_SECONDS
    while not any(row["name"] == name for row in api.rows(path, {})):
        assert monotonic() < deadline, f"no {name} at {path}"
        sleep(0.1)


def deploy(installation: Installation) -> None:
    """Deploy what `prefect.yaml` says, into a pool that is there."""
    wait_for(installation.api, "/work_pools/filter", "agents")
    subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env=installation.env(Mode.WORKER),
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="session")
def services(installation: Installation) -> Iterator[None]:
    """A serve process and a worker for all tests whose events do not end them."""
    with serving(installation, "served"), working(installation):
        deploy(installation)
        wait_for(installation.api, "/deployments/filter", "served")
        yield
