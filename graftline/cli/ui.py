"""`graftline ui`: the Prefect UI, on a run when one is named."""

import contextlib
import os
import sys
import webbrowser
from pathlib import Path

import anyio

from graftline.cli.console import stderr_console
from graftline.cli.runs import open_records
from graftline.cli.signals import run_until_signal
from graftline.server import configured_server, local_server
from graftline.store import state_directory


def ui(run: str | None = None, /, *, repository: Path = Path(), open_browser: bool = True) -> int:
    """Open the Prefect UI in a browser. The local server stays up until Ctrl-C.

    Parameters
    ----------
    run
        A run's name or id, or the beginning of one.
    repository
        The git repository the run is of.
    open_browser
        Open a browser; otherwise only the address is printed.
    """
    page = f"/runs/flow-run/{open_records(run, repository).folder.id}" if run else "/dashboard"
    with contextlib.suppress(KeyboardInterrupt):  # which is how it is meant to end
        run_until_signal(_serve(page, open_browser=open_browser))
    return 0


async def _serve(page: str, *, open_browser: bool) -> None:
    configured = configured_server(os.environ)
    if configured is not None:
        _show(configured.ui_url + page, open_browser=open_browser)
        return
    say = stderr_console().say
    async with local_server(state_directory(os.environ), say=say) as server:
        _show(server.ui_url + page, open_browser=open_browser)
        say("The local Prefect server stays up until Ctrl-C.")
        await anyio.sleep_forever()


def _show(address: str, *, open_browser: bool) -> None:
    sys.stdout.write(address + "\n")
    sys.stdout.flush()
    if open_browser:
        webbrowser.open(address)
