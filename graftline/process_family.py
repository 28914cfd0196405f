"""Finds processes by a mark in the environment they were started with, ends them, and says what they use.

Agent CLIs run their commands in sessions of their own. One that ends quickly leaves them running, and so does one that
ends well after starting a server: nothing but their environment, which they inherited, then says whose they are. Where
there is no /proc (macOS), none are found.
"""

import os
import signal
import sys
from pathlib import Path

_PROC = Path("/proc")


def signal_family(mark: str, number: int, *, outside: int | None) -> bool:
    """Send a signal to every process that was started with `mark` (`NAME=value`) in its environment.

    Members of the group `outside`, when one is named, and we ourselves are left alone. With 0 nothing is sent.
    Whether any was found.
    """
    if not sys.platform.startswith("linux"):
        return False
    found = False
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            found |= _signal(int(entry.name), os.fsencode(mark), number, outside)
    return found


def _signal(pid: int, mark: bytes, number: int, outside: int | None) -> bool:
    try:
        # Opened before we look: the pid may belong to another process by the time of the signal, the descriptor cannot.
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # A zombie's environment is empty, and what belongs to other people cannot be read.
        if mark not in (_PROC / str(pid) / "environ").read_bytes().split(b"\0") or os.getpgid(pid) == outside:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def family_cpu_seconds(mark: str, group: int) -> float | None:
    """The processor time that a group and what carries `mark` have used, with the children they have waited for.

    None where nobody can tell. It shrinks when one of them ends that nobody waits for.
    """
    if not sys.platform.startswith("linux"):
        return None
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return sum(_ticks(pid, os.fsencode(mark), group) for pid in pids) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int, mark: bytes, group: int) -> int:
    folder = _PROC / str(pid)
    try:
        # The second field is the program's name, which may hold anything; the fields are counted after it.
        fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        if int(fields[2]) != group and (not mark or mark not in (folder / "environ").read_bytes().split(b"\0")):
            return 0
    except OSError:  # it has ended, or it belongs to other people
        return 0
    return sum(map(int, fields[11:15]))
