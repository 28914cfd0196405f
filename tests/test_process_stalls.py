"""Real children that stall, and such that only seem to."""

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from graftline.process import Command, Ending, Limits
from graftline.stalls import StallLimit
from tests.test_process import run, shell


async def test_silence_ends_a_child(tmp_path: Path) -> None:
    limits = Limits(wall_seconds=30, stall_seconds=0.3, grace_seconds=0.2)
    result, lines = await run(shell("echo start; sleep 60", tmp_path), tmp_path / "log", limits)
    assert (result.ending, result.status, lines) == (Ending.STALLED, -signal.SIGTERM, ["start"])


@pytest.mark.parametrize("stream", ["1", "2"])
async def test_output_on_either_stream_keeps_a_child_from_stalling(tmp_path: Path, stream: str) -> None:
    limits = Limits(wall_seconds=30, stall_seconds=1, grace_seconds=0.2)
    script = f"for i in 1 2 3 4 5 6; do echo tick >&{stream}; sleep 0.25; done"
    result, _ = await run(shell(script, tmp_path), tmp_path / "log", limits)
    assert (result.ending, result.status) == (Ending.EXITED, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="without /proc nobody tells who computes")
@pytest.mark.parametrize("where", ["", "setsid "])
async def test_silent_child_that_computes_has_not_stalled(tmp_path: Path, where: str) -> None:
    """Also when it is a command that left the group, as agent CLIs start them, for which the child only waits."""
    computing = "import time\nwhile time.process_time() < 0.6: pass"
    env = {"PATH": os.environ["PATH"], "MARK": str(tmp_path)}
    script = (
        f"{where}{shlex.quote(sys.executable)} -c {shlex.quote(computing)} > /dev/null & wait; echo computed; sleep 60"
    )
    limits = Limits(wall_seconds=60, stall_seconds=0.5, grace_seconds=0.2)
    result, lines = await run(Command(("sh", "-c", script), tmp_path, env, family="MARK"), tmp_path / "log", limits)
    assert (result.ending, result.stall, lines) == (Ending.STALLED, "it had printed nothing for 0.5 s", ["computed"])


async def test_child_that_shows_no_other_sign_of_progress_has_stalled(tmp_path: Path) -> None:
    """It prints all the time, and the file it wrote at first does not change any more."""
    file = tmp_path / "file"
    sign = StallLimit(0.5, file.exists, "it had made nothing")
    limits = Limits(wall_seconds=60, stall_seconds=60, stalls=(sign,), grace_seconds=0.2)
    script = f"touch {file}; while :; do echo tick; sleep 0.2; done"
    result, _ = await run(shell(script, tmp_path), tmp_path / "log", limits)
    assert (result.ending, result.stall) == (Ending.STALLED, "it had made nothing for 0.5 s")
