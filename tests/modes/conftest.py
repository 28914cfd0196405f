"""One installation for all modes: graftline's local Prefect server, one of a team's, a serve process and a worker."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from graftline.server import read_address
from graftline.server_folder import HOST, ServerFolder
from graftline.server_process import prefect_server_argv
from tests.modes.api import PrefectApi
from tests.modes.started import PATIENCE_SECONDS, Installation, Mode

ROOT = Path(__file__).parents[2]
# Writers that meet on the one SQLite file make Prefect's server wait, now and then for its whole minute.
QUIET = {
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
SERVE = "from graftline.flows.build import build; build.serve(name={name!r}, limit=8, print_starting_message=False)"


@pytest.fixture(scope="session")
def api(served_state_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectApi]:
    """A Prefect server that a team has, on a database that need not be built; nothing but the runs writes to it."""
    home = tmp_path_factory.mktemp("team")
    with (
        closing(sqlite3.connect(ServerFolder.of(served_state_dir).database)) as built,
        closing(sqlite3.connect(home / "prefect.db")) as new,
    ):
        built.backup(new)
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    api = PrefectApi(f"http://{HOST}:{port}/api")
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            prefect_server_argv(port),
            cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "PREFECT_HOME": str(home), **QUIET},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = monotonic() + PATIENCE_SECONDS
        while not api.is_up():
            assert server.poll() is None, (home / "log").read_text()
            assert monotonic() < deadline, (home / "log").read_text()
            sleep(0.1)
        yield api
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.fixture(scope="session")
def installation(served_state_dir: Path, api: PrefectApi, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The servers and the environment of all processes of these tests; no agent sees the person's home."""
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
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        # How soon a run is picked up is Prefect's affair.
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    return Installation(PrefectApi(address.api_url), api, served_state_dir, environment)


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
