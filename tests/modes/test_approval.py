"""A deployment's run that waits for a person holds no process: served and on a worker, it goes on in another one."""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from graftline.journal import EventKind
from graftline.report.model import RunState
from tests.modes.agents import FIVE, set_mood, write_moody_project
from tests.modes.api import Row
from tests.modes.started import DEPLOYMENTS, Installation, Mode, Started, is_alive

pytestmark = pytest.mark.prefect

MODES = [Mode.SERVED, Mode.WORKER]


@dataclass
class Approved:
    """A run that was approved after it had been suspended, and the processes that carried it out."""

    run: Started
    processes: tuple[int, int]
    state: str


def go_through(installation: Installation, mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> Approved:
    """A run that waits, is approved by command, and ends."""
    repository = write_moody_project(tmp_path_factory.mktemp(mode))
    set_mood(repository, "goes")
    request: Row = {"repository": str(repository), "plan_file": "plan.yaml", "approve": True}
    run = Started(installation, mode, repository, run_id=installation.api.start_run(DEPLOYMENTS[mode], request))
    try:
        run.wait_for_state("PAUSED")
        first = run.orchestrator
        run.wait_until("without a process", lambda: not is_alive(first))
        state = str(run.api.row(f"/flow_runs/{run.run_id}")["state_name"])
        run.graftline("approve", run.run_id)
        run.wait_for_state("COMPLETED")
        *_, last = (entry for entry in run.entries if entry.event is EventKind.RUN_PREPARED)
        return Approved(run, (first, int(str(last.data["pid"]))), state)
    finally:
        run.kill_everything()


@pytest.fixture(scope="module")
def approved(
    installation: Installation, services: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[Mode, Future[Approved]]:
    """The run in both modes, side by side."""
    del services  # they only have to be there
    with ThreadPoolExecutor() as pool:
        return {mode: pool.submit(go_through, installation, mode, tmp_path_factory) for mode in MODES}


@pytest.mark.parametrize("mode", MODES)
def test_a_suspended_run_has_no_process_and_goes_on_once_it_is_approved(
    approved: dict[Mode, Future[Approved]], mode: Mode
) -> None:
    done = approved[mode].result()
    run = done.run

    assert done.state == "Suspended"
    assert len(set(done.processes)) == 2
    assert run.report.state is RunState.LANDED
    calls = Counter((run.repository.parent / "signals" / "calls").read_text().split())
    assert calls == dict.fromkeys(FIVE, 1)
    assert [entry.data["decision"] for entry in run.entries if entry.event is EventKind.APPROVAL_GIVEN] == ["approve"]
