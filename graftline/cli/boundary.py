"""The one place where an error becomes a message and an exit code."""

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Callable

from cyclopts import CycloptsError

from graftline import __version__
from graftline.errors import ExitCode, GraftlineError
from graftline.text import plain_text

nobody_listens = threading.Event()
"""Set once a run's Prefect server is gone: at its end the process would try for seconds to send it each event."""


def exit_code_of(action: Callable[[], object]) -> int:
    """Do it; the exit code it ends with, after everything that has to be said about it was said.

    What the action returns is the code when it is a number, else it is success.
    """
    code = _attempt(action)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
    return code


def _attempt(action: Callable[[], object]) -> int:
    try:
        code = action()
    except CycloptsError:  # cyclopts has printed it
        return ExitCode.BAD_INPUT
    except GraftlineError as error:
        complain(f"graftline: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        complain("graftline: interrupted")
        return ExitCode.SIGINT
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else ExitCode.SUCCESS
    except BrokenPipeError:  # who reads has seen enough, as in `graftline logs … | head`
        return ExitCode.SUCCESS
    except Exception:  # noqa: BLE001  the outermost boundary: a defect of ours ends with a trace and its own exit code
        complain(
            "graftline: this is a defect in graftline, not in your plan. Nothing that was finished is lost.\n"
            f"Please report it with this trace (graftline {__version__}):\n{traceback.format_exc()}"
        )
        return ExitCode.DEFECT
    return code if isinstance(code, int) else ExitCode.SUCCESS


def complain(text: str) -> None:
    """Say it on stderr, if anybody still listens; text of agents in it cannot steer the terminal."""
    with contextlib.suppress(OSError):
        sys.stderr.write(plain_text(text).rstrip("\n") + "\n")


def _let_go_of_stdout() -> None:
    """What is still buffered goes nowhere: Python would write it once more at its end, and fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
