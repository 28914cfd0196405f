"""One local Prefect server for the whole test session, held open as a person's `graftline` holds it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from graftline.server import read_address

ROOT = Path(__file__).parents[1]
HOLD_SERVER = """
import asyncio, pathlib, sys
from graftline.server import local_server
async def main():
    async with local_server(pathlib.Path(sys.argv[1]), say=print):
        print("up", flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


@pytest.fixture(scope="session")
def served_state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state directory whose local Prefect server is up; it is started once for all tests of the session."""
    folder = tmp_path_factory.mktemp("state")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_SERVER, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert holder.stdout is not None
        assert any(line == "up\n" for line in holder.stdout)
        yield folder
    finally:
        holder.communicate()
        address = read_address(folder)
        if address is not None:
            os.killpg(address.pid, signal.SIGKILL)
    assert address is None, "the last client has stopped the server"
