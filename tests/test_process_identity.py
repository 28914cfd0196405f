"""Processes that this one did not start, or no longer knows: recognised by identity, found by their environment."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from graftline.process import end_family, identify, is_alive

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc, which Linux has")

WAITS = "import sys; print('up', flush=True); sys.stdin.read()"
MAIN_THREAD_ENDS = """
import ctypes, sys, threading
threading.Thread(target=sys.stdin.read).start()
print("up", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


@contextmanager
def running(program: str, variables: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A Python process in a session of its own, at work; it ends when its stdin does."""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.communicate("", timeout=30)


async def test_processes_with_a_mark_are_ended_wherever_they_are_and_no_others() -> None:
    with running(WAITS, {"MARK": "mine"}) as one, running(WAITS, {"MARK": "mine"}) as other:
        with running(WAITS, {"MARK": "mine, or nearly"}) as stranger:
            await end_family("MARK=mine", 5.0)
            assert [one.wait(30), other.wait(30)] == [-15, -15]
            assert stranger.poll() is None
        assert stranger.returncode == 0


def test_a_process_lives_for_as_long_as_one_of_its_threads_although_it_looks_like_a_zombie() -> None:
    with running(MAIN_THREAD_ENDS, {}) as process:
        identity = identify(process.pid)
        stat = Path(f"/proc/{process.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "Z":
            assert process.poll() is None
        assert is_alive(identity)
    assert not is_alive(identity)
