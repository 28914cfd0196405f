"""Processes that a test left behind, whoever their parent is by now."""

import os
import select
import signal
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")  # where there is none (macOS), nothing is found


def processes_in(folders: Iterable[Path]) -> set[int]:
    """The processes that are this one's children, or that work in one of the folders.

    An orphaned grandchild has another parent, but it still stands in the test's own folder. Zombies do not count: they
    run no more.
    """
    roots = [folder.resolve() for folder in folders]
    return {
        int(entry.name) for entry in PROC.glob("[0-9]*") if int(entry.name) != os.getpid() and _belongs(entry, roots)
    }


def processes_below(folder: Path) -> set[int]:
    """The processes that work in a folder, whoever's children they are."""
    root = folder.resolve()
    return {int(entry.name) for entry in PROC.glob("[0-9]*") if _belongs(entry, [root], children=False)}


def _belongs(process: Path, roots: list[Path], *, children: bool = True) -> bool:
    try:
        # The command name, in parentheses, may hold anything; state and parent follow it.
        state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
        if state == "Z":
            return False
        if children and int(parent) == os.getpid():
            return True
        return any((process / "cwd").readlink().is_relative_to(root) for root in roots)
    except OSError:  # it ended meanwhile, or belongs to somebody else
        return False


def end_leftovers(pids: Iterable[int], *, grace_seconds: float = 10) -> list[str]:
    """Kill what does not end by itself within the grace, and say what it was."""
    found = []
    for pid in sorted(pids):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([handle], [], [], grace_seconds)
            if not ended:
                words = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"{pid}: {words.strip()}")
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)
    return found
