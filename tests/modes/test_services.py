"""The end of what starts runs, a serve process or a worker, by SIGKILL: their runs go on, and can be cancelled."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from graftline.report.model import RunState
from tests.modes.agents import WORKING, are_at_work, write_project
from tests.modes.api import PrefectApi, Row
from tests.modes.conftest import serving, wait_for, working
from tests.modes.started import Installation, Mode, Started, is_alive

pytestmark = pytest.mark.prefect

NAME = "orphaned"


@pytest.fixture(scope="module")
def orphaned(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Mode, Started]]:
    """A run in each mode whose serve process, or worker, has been killed while its agents worked."""
    folder = tmp_path_factory.mktemp(NAME)
    with ExitStack() as stack:
        starters = [stack.enter_context(serving(installation, NAME)), stack.enter_context(working(installation, NAME))]
        wait_for(installation.api, "/deployments/filter", NAME)
        wait_for(installation.api, "/work_pools/filter", NAME)
        deploy_to_pool(installation.api)
        runs = {}
        for mode, deployment in ((Mode.SERVED, NAME), (Mode.WORKER, f"{NAME}-pool")):
            runs[mode] = installation.start(mode, write_project(folder / mode, timeouts={}), deployment=deployment)
            stack.callback(runs[mode].kill_everything)
        for run in runs.values():
            run.wait_until("at work", lambda repository=run.repository: are_at_work(repository))  # type: ignore[misc]
        for pid in starters:
            os.kill(pid, signal.SIGKILL)
        yield runs


def deploy_to_pool(api: PrefectApi) -> None:
    """What `prefect.yaml` deploys, to a pool of these tests' own."""
    body: Row = {
        "name": f"{NAME}-pool",
        "flow_id": api.row("/flows/name/build")["id"],
        "entrypoint": "graftline.flows.build.build",
        "work_pool_name": NAME,
        "pull_steps": [],
        "job_variables": {"stream_output": False},
        "parameter_openapi_schema": {},
    }
    api.ask("/deployments/", body)


@pytest.mark.parametrize("mode", [Mode.SERVED, Mode.WORKER])
def test_a_run_whose_starter_was_killed_is_still_cancelled(orphaned: dict[Mode, Started], mode: Mode) -> None:
    run = orphaned[mode]
    run.api.cancel(run.run_id)
    run.wait_until("rid of its agents", lambda: not run.processes(), seconds=10)
    run.finish()

    assert not is_alive(run.orchestrator)
    assert run.report.state is RunState.CANCELLED
    assert run.salvaged() == dict.fromkeys(WORKING, "half")
    run.wait_for_rows()
    assert run.api.state_of(run.run_id) == "CANCELLED"
