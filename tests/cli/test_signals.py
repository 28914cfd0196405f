"""Work is ended by a signal the way Ctrl-C ends it: it is cancelled, cleans up, and the exit code says which it was."""

import signal
import subprocess
import sys

import pytest

from graftline.cli.boundary import exit_code_of
from graftline.cli.signals import run_until_signal
from tests.cli.conftest import Ended, finish

WORK = """
import asyncio, signal, sys
from graftline.cli.boundary import exit_code_of
from graftline.cli.signals import run_until_signal
async def work():
    print("at work", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0)
        print("cleaned up", flush=True)
for name in sys.argv[1:]:
    signal.signal(signal.Signals[name], signal.SIG_IGN)
raise SystemExit(exit_code_of(lambda: run_until_signal(work())))
"""


def end_with(*numbers: signal.Signals, ignored: tuple[str, ...] = ()) -> Ended:
    """Send the signals to work that goes on, one after the other."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, *ignored], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    for number in numbers:
        process.send_signal(number)
    return finish(process)


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "graftline: interrupted\n"), (signal.SIGTERM, 143, ""), (signal.SIGHUP, 129, "")],
)
def test_each_signal_lets_work_clean_up_and_has_its_exit_code(number: signal.Signals, code: int, said: str) -> None:
    assert end_with(number) == Ended(code, "cleaned up\n", said)


def test_a_signal_that_is_ignored_stays_ignored_as_nohup_wants_it() -> None:
    assert end_with(signal.SIGHUP, signal.SIGTERM, ignored=("SIGHUP",)) == Ended(143, "cleaned up\n", "")


def test_what_work_raises_comes_through() -> None:
    async def fail() -> None:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        run_until_signal(fail())


def test_a_defect_ends_with_a_trace_and_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    def defect() -> None:
        raise ValueError("\x1b[2Ja defect")

    assert exit_code_of(defect) == 4

    said = capsys.readouterr().err
    assert said.startswith("graftline: this is a defect in graftline, not in your plan.")
    assert said.endswith("ValueError: a defect\n")
