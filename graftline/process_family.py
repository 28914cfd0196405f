"""Finds processes by a mark in the environment they were started with.

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
