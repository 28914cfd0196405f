"""The lock between processes: who may hold it together, and that it ends with its holder."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from graftline.file_lock import FileLock

HOLDER = """
import sys, pathlib
from graftline.file_lock import FileLock
lock = FileLock(pathlib.Path(sys.argv[1]))
print(lock.try_acquire(), flush=True)
sys.stdin.read()
"""


def test_many_share_or_one_has_it_alone(tmp_path: Path) -> None:
    one, two, alone = (FileLock(tmp_path / "lock") for _ in range(3))
    assert one.try_acquire(shared=True)
    assert two.try_acquire(shared=True)
    assert not alone.try_acquire()
    one.release()
    assert not alone.try_acquire()
    two.release()
    assert alone.try_acquire()
    assert not one.try_acquire(shared=True)
    alone.release()
    alone.release()
    assert one.try_acquire(shared=True)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    one.release()


async def test_waiting_says_so_once_and_ends_when_the_holder_lets_go(tmp_path: Path) -> None:
    holder, waiter = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert holder.try_acquire()
    said: list[str] = []

    def on_wait() -> None:
        said.append("waiting")
        holder.release()

    with anyio.fail_after(10):
        await waiter.acquire(on_wait=on_wait)
    assert said == ["waiting"]
    assert not holder.try_acquire(shared=True)
    waiter.release()


async def test_waiting_can_be_cancelled_and_leaves_no_lock(tmp_path: Path) -> None:
    holder, waiter = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert holder.try_acquire()
    with anyio.CancelScope() as scope:
        await waiter.acquire(shared=True, on_wait=scope.cancel)
    assert scope.cancelled_caught
    holder.release()
    assert holder.try_acquire()
    holder.release()


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        assert not lock.try_acquire()
        process.kill()
        process.wait()
    assert lock.try_acquire()
    lock.release()


def test_a_lock_that_cannot_be_made_is_an_error_not_a_wait(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "missing" / "lock").try_acquire()
