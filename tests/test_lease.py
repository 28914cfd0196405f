"""The lease: one process carries out a run, whoever dies lets go of it, and nobody writes into a run taken over."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graftline import lease as lease_module
from graftline.errors import LeaseLostError, RunBusyError
from graftline.lease import Lease, holder_of
from graftline.process import this_process

HOLD = """
import asyncio, pathlib, sys
from graftline.lease import Lease
async def main():
    lease = await Lease.acquire(pathlib.Path(sys.argv[1]))
    print(lease.holder.token, flush=True)
    sys.stdin.read()
asyncio.run(main())
"""


def start_holder(folder: Path) -> "subprocess.Popen[str]":
    """Another process that holds the lease until its stdin ends, or it does."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "1\n"
    return holder


async def test_a_second_process_is_refused_and_told_who_holds_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with start_holder(folder) as other:
        with pytest.raises(RunBusyError, match=rf"run run is being carried out by process {other.pid} on .*, since 20"):
            await Lease.acquire(folder)
        holder = holder_of(folder)
        assert holder is not None
        assert (holder.pid, holder.token) == (other.pid, 1)
        assert holder.process is not None


async def test_a_second_holder_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    lease = await Lease.acquire(tmp_path)
    with pytest.raises(RunBusyError, match=f"process {os.getpid()} "):
        await Lease.acquire(tmp_path)
    lease.release()
    lease.release()

    again = await Lease.acquire(tmp_path)
    assert (lease.holder.token, again.holder.token, again.holder.process) == (1, 2, this_process())
    again.release()


async def test_who_is_to_carry_a_run_out_waits_for_somebody_who_looks_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "PATIENCE_SECONDS", 0.0)
    passing = await Lease.acquire(tmp_path, passing=True)
    with pytest.raises(RunBusyError):
        await Lease.acquire(tmp_path, passing=True)
    entering = asyncio.create_task(Lease.acquire(tmp_path))
    await asyncio.wait({entering}, timeout=3 * lease_module.POLL_SECONDS)
    assert not entering.done()
    passing.release()
    entered = await entering
    assert (entered.holder.token, entered.holder.passing) == (2, False)
    entered.release()


async def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    with start_holder(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert holder_of(tmp_path) is None

    lease = await Lease.acquire(tmp_path)
    assert (lease.holder.token, holder_of(tmp_path)) == (2, lease.holder)
    lease.release()
    assert holder_of(tmp_path) is None


async def test_who_lost_the_lock_does_not_write_into_the_run_of_who_took_over(tmp_path: Path) -> None:
    first = await Lease.acquire(tmp_path)
    first.check()
    (tmp_path / "lease.lock").unlink()  # a person who tidies up, or a file system that forgets locks
    second = await Lease.acquire(tmp_path)

    with pytest.raises(LeaseLostError, match=f"taken over by process {os.getpid()}"):
        first.check()
    first.release()
    second.check()
    assert holder_of(tmp_path) == second.holder, "who lost it cannot let go of it either"
    second.release()


def test_a_run_without_a_lease_is_nobodys(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "none") is None
    (tmp_path / "lease.json").write_text("{cut")
    assert holder_of(tmp_path) is None
