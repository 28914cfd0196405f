"""A run that is stopped, in every mode: agents end, their work is kept, nothing lands, and everybody is told.

The id of a test names the cell: `[cancel-worker]` is a run on a worker that is cancelled through the API.
"""

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from graftline.report.model import RunState
from tests.conftest import run_git
from tests.modes.agents import WORKING, are_at_work, write_project
from tests.modes.started import Installation, Mode, Started, is_alive

pytestmark = pytest.mark.prefect

ENDED_BY_SIGNAL = "ended by a signal; nothing landed; what was finished is kept"


@dataclass(frozen=True)
class Event:
    """Something that stops a run, and what the run comes to."""

    name: str
    state: RunState
    flow_state: str
    exit_code: int
    reason: str
    signals: tuple[signal.Signals, ...] = ()
    is_cancelled: bool = False
    timeouts: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return self.name


EVENTS = [
    Event(
        "run-timeout",
        RunState.FAILED,
        "FAILED",
        1,
        "the run took longer than [timeouts] run_seconds",
        timeouts=(("run_seconds", 15.0),),
    ),
    Event("sigint", RunState.CANCELLED, "CRASHED", 130, ENDED_BY_SIGNAL, (signal.SIGINT,)),
    Event("sigterm", RunState.CANCELLED, "CRASHED", 143, ENDED_BY_SIGNAL, (signal.SIGTERM,)),
    Event("sigterm-twice", RunState.CANCELLED, "CRASHED", 143, ENDED_BY_SIGNAL, (signal.SIGTERM, signal.SIGTERM)),
    Event("kill", RunState.CRASHED, "CRASHED", -9, "was killed or died; nothing landed", (signal.SIGKILL,)),
    Event("cancel", RunState.CANCELLED, "CANCELLED", 1, "cancelled by request; nothing landed", is_cancelled=True),
]


@dataclass(frozen=True)
class Stopped:
    """A run that was stopped, and how the process that carried it out ended."""

    run: Started
    exit_code: int | None


def carry_out(installation: Installation, mode: Mode, event: Event, folder: Path) -> Stopped:
    """Start a run, stop it once its agents are at work, and wait for its end."""
    repository = write_project(folder / mode, timeouts=dict(event.timeouts))
    run = installation.start(mode, repository)
    try:
        run.wait_until("at work", lambda: are_at_work(repository))
        run.run_id = run.run_id or run.folder.path.name
        if event.is_cancelled:
            run.api.cancel(run.run_id)
        at_work = run.processes()
        for index, number in enumerate(event.signals):
            if index:  # while the others are being ended, and what they wrote is being kept
                run.wait_until("ending its agents", lambda: not run.processes() >= at_work)
            os.kill(run.orchestrator, number)
        if signal.SIGKILL in event.signals:  # the next command looks after what is left, whichever it is
            run.wait_until("dead", lambda: not is_alive(run.orchestrator))
            run.find_dead()
        if not event.timeouts:
            run.wait_until("rid of its agents", lambda: not run.processes(), seconds=10)
        return Stopped(run, run.finish())
    finally:
        run.kill_everything()


@pytest.fixture(scope="module", params=EVENTS, ids=str)
def event(request: pytest.FixtureRequest) -> Event:
    found: Event = request.param
    return found


@pytest.fixture(scope="module")
def stopped(
    event: Event,
    installation: Installation,
    services: None,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[Mode, Future[Stopped]]:
    """What the event does to a run in every mode that is asked for; they go on side by side."""
    del services  # they only have to be there
    folder = tmp_path_factory.mktemp(event.name)
    modes = {mode for mode in Mode if any(f"[{event}-{mode}]" in item.name for item in request.session.items)}
    with ThreadPoolExecutor() as pool:
        return {mode: pool.submit(carry_out, installation, mode, event, folder) for mode in modes}


@pytest.mark.parametrize("mode", Mode)
def test_a_run_that_is_stopped_ends_its_agents_and_keeps_their_work(
    stopped: dict[Mode, Future[Stopped]], event: Event, mode: Mode
) -> None:
    ended = stopped[mode].result()
    run, exit_code = ended.run, ended.exit_code

    assert not run.processes()
    assert not is_alive(run.orchestrator)
    assert run.report.state is event.state
    assert event.reason in run.report.reason
    salvaged = run.salvaged()
    if len(event.signals) > 1 and salvaged["polite"] == "a quarter":
        salvaged["polite"] = "half"  # it was not given the second that it takes
    assert salvaged == dict.fromkeys(WORKING, "half")
    assert run.report.landed_commit is None
    assert run_git(run.repository, "rev-list", "--count", "main") == "1"
    if mode.is_script:
        assert exit_code == event.exit_code
        assert "Traceback" not in run.told()
    run.wait_for_rows()
    assert run.api.state_of(run.run_id) == event.flow_state
