"""A run entered again, in every mode, after a failure, a kill and a cancellation: four of five are called once.

A script's run is gone on with by `graftline resume`. For a deployment's run somebody presses Retry in Prefect's UI,
which sends what is sent here, or types `prefect flow-run retry`.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest

from graftline.journal import EventKind
from graftline.lease import holder_of
from graftline.report.model import RunState
from tests.conftest import run_git
from tests.modes.agents import FIVE, set_mood, waiting_attempt, write_moody_project
from tests.modes.started import ASK_SECONDS, PATIENCE_SECONDS, Installation, Mode, Started, is_alive

pytestmark = pytest.mark.prefect


@dataclass
class Entered:
    """What became of a run that was entered four times."""

    run: Started
    states: list[str] = field(default_factory=list)
    left: set[int] = field(default_factory=set)
    still_there: set[int] = field(default_factory=set)
    refused: str = ""
    holder: int = 0


def enter_again(run: Started) -> None:
    """Have the run carried out once more."""
    if run.mode.is_script:
        run.script = graftline(run, "resume", run.run_id)
    elif run.mode is Mode.SERVED:
        run.api.ask(f"/flow_runs/{run.run_id}/set_state", {"state": {"type": "SCHEDULED"}, "force": True})
    else:
        command = [sys.executable, "-m", "prefect", "flow-run", "retry", run.run_id]
        environment = run.installation.env(run.mode)
        deadline = monotonic() + PATIENCE_SECONDS
        while (done := subprocess.run(command, env=environment, check=False, capture_output=True)).returncode:
            # A server on SQLite that is busy refuses what a person then types once more.
            assert monotonic() < deadline, done.stdout.decode() + done.stderr.decode()


def graftline(run: Started, *arguments: str) -> "subprocess.Popen[bytes]":
    """A command of a person's."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "graftline", *arguments],
        cwd=run.repository,
        env=run.installation.env(run.mode),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def state_at_end(run: Started, state: str) -> str:
    """The state of the flow run once nobody carries it out, waited for until it is the wanted one."""
    if run.script is not None:
        run.script.communicate(timeout=PATIENCE_SECONDS)
    run.wait_for_state(state)
    run.wait_until("let go of", lambda: holder_of(run.folder.path) is None)
    return run.api.state_of(run.run_id)


def enter_for_attempt(run: Started, number: int) -> None:
    """Have the run carried out once more, and wait until the third task waits, in its attempt with this number."""
    enter_again(run)

    def is_there() -> bool:
        # A worker reports a killed process a second time, seconds later, and so ends a retry that came in between.
        if run.mode is Mode.WORKER and run.api.state_of(run.run_id) == "CRASHED":
            enter_again(run)
        return waiting_attempt(run.repository) == str(number)

    run.wait_until(f"at attempt {number}", is_there, every_seconds=ASK_SECONDS)


def wait_for_prefect(run: Started) -> None:
    """Wait until who starts a deployment's runs has done with a cancelled one: it would end a retry in its place."""
    if not run.mode.is_script:
        log = Path(run.installation.environment["HOME"], f"{run.mode}.log")
        said = f"Cancelled flow run '{run.report.run}'"
        run.wait_until("done with", lambda: said in log.read_text(errors="replace"))


def second_entry(run: Started) -> str:
    """What is said to a person who wants to go on with the run while a process carries it out."""
    second = graftline(run, "resume", run.run_id)
    said = second.communicate(timeout=PATIENCE_SECONDS)[1].decode()
    assert second.returncode == 2, said
    return said


def go_through(installation: Installation, mode: Mode, folder: Path) -> Entered:
    """A run whose third task fails, is killed, is cancelled, and at last succeeds."""
    repository = write_moody_project(folder / mode)
    run = installation.start(mode, repository)
    entered = Entered(run)
    try:
        if run.script is not None:
            run.finish()
        entered.states.append(state_at_end(run, "FAILED"))
        (repository / "theirs.txt").write_text("a person's own\n")
        run_git(repository, "add", "-A")
        run_git(repository, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-qm", "Meanwhile")

        set_mood(repository, "waits")
        enter_for_attempt(run, 2)
        entered.left = run.processes()
        holder = holder_of(run.folder.path)
        assert holder is not None
        os.kill(holder.pid, signal.SIGKILL)
        if run.script is not None:
            run.script.communicate(timeout=PATIENCE_SECONDS)
            run.find_dead()
        entered.states.append(state_at_end(run, "CRASHED"))

        enter_for_attempt(run, 3)
        entered.still_there = entered.left & run.processes()
        run.graftline("abort", run.run_id)
        entered.states.append(state_at_end(run, "CANCELLED"))
        wait_for_prefect(run)

        enter_for_attempt(run, 4)
        holder = holder_of(run.folder.path)
        assert holder is not None
        entered.holder = holder.pid
        entered.refused = second_entry(run)
        set_mood(repository, "goes")
        entered.states.append(state_at_end(run, "COMPLETED"))
    finally:
        run.kill_everything()
    return entered


@pytest.fixture(scope="module")
def entered(
    installation: Installation,
    services: None,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[Mode, Future[Entered]]:
    """The run in every mode that is asked for, side by side."""
    del services  # they only have to be there
    folder = tmp_path_factory.mktemp("entered")
    modes = {mode for mode in Mode if any(f"[{mode}]" in item.name for item in request.session.items)}
    with ThreadPoolExecutor() as pool:
        return {mode: pool.submit(go_through, installation, mode, folder) for mode in modes}


@pytest.mark.parametrize("mode", Mode)
def test_a_run_is_gone_on_with_after_a_failure_a_kill_and_a_cancellation(
    entered: dict[Mode, Future[Entered]], mode: Mode
) -> None:
    done = entered[mode].result()
    run, repository = done.run, done.run.repository

    assert done.states == ["FAILED", "CRASHED", "CANCELLED", "COMPLETED"]
    calls = Counter((repository.parent / "signals" / "calls").read_text().split())
    assert calls == {**dict.fromkeys(FIVE, 1), "three": 4}
    assert done.left, "the killed process left its agent"
    assert not done.still_there, "which was ended before another one was called"
    assert f"is being carried out by process {done.holder} on " in done.refused
    assert run.report.state is RunState.LANDED
    assert [task.attempts[-1].number for task in run.report.tasks] == [1, 1, 4, 1, 1]
    files = {name: run_git(repository, "show", f"main:{name}") for name in (f"{task}.txt" for task in FIVE)}
    assert files == dict.fromkeys(files, "whole")
    assert run_git(repository, "show", "main:theirs.txt") == "a person's own"
    assert run.report.tested_tree == run_git(repository, "rev-parse", "main^{tree}"), "tested where it landed"
    hub = run.folder.store.hub
    kept = {one.ref.rpartition("/")[2]: run_git(hub, "show", f"{one.ref}:three.txt") for one in run.report.salvage}
    assert kept == {"2": "half", "3": "half"}
    assert sum(entry.event is EventKind.LANDED for entry in run.entries) == 1
    assert not run.processes()
    run.wait_until("gone", lambda: not is_alive(done.holder))
    run.wait_for_rows()
