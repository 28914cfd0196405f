"""A stand-in for Prefect's server, which takes seconds to start, and what tests of the local server's life share."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen

import anyio
import pytest

from graftline.process import is_alive
from graftline.server import Server, local_server, read_address
from graftline.server_folder import Address
from graftline.server_process import ServerArgv

FAKE_SERVER = """
import contextlib, http.server, json, os, pathlib, sqlite3, sys
database = pathlib.Path(os.environ["PREFECT_HOME"], "prefect.db")
if not database.exists():
    with contextlib.closing(sqlite3.connect(database)) as new:
        new.executescript("PRAGMA journal_mode = WAL; CREATE TABLE flow_run (id); CREATE TABLE alembic_version (num);"
            "INSERT INTO alembic_version VALUES ('1')")
starts = pathlib.Path(sys.argv[0]).with_name("starts")
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answers = {"/api/admin/settings": {"home": os.environ["PREFECT_HOME"]}, "/api/environ": dict(os.environ)}
        body = json.dumps(answers.get(self.path, 0)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
with starts.open("a") as file:
    file.write(f"{os.getpid()}\\n")
server.serve_forever()
"""
CLIENT = """
import asyncio, pathlib, sys
from graftline.server import local_server
async def main():
    argv = lambda port: [sys.executable, sys.argv[2], str(port)]
    async with local_server(pathlib.Path(sys.argv[1]), say=lambda line: None, argv=argv) as server:
        print(server.api_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""

SECONDS = 30
"""How long a test waits before it gives up: far longer than it takes."""

Join = Callable[..., AbstractAsyncContextManager[Server]]


def quiet(_line: str) -> None:
    """Say nothing."""


def start_process(*argv: str) -> "subprocess.Popen[str]":
    """Start a process in a session of its own, with pipes to talk to it."""
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)


def start_client(state_dir: Path, fake_server: Path) -> "subprocess.Popen[str]":
    """Start another process that uses the server until its stdin ends, and prints the server's address."""
    return start_process(sys.executable, "-c", CLIENT, str(state_dir), str(fake_server))


def end_left_over(state_dir: Path) -> None:
    """Do not let a failing test leave its server running."""
    address = read_address(state_dir)
    if address is not None:
        os.killpg(address.pid, signal.SIGKILL)


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # the session's may hold a database by now
    folder = tmp_path / "state"
    yield folder
    end_left_over(folder)


@pytest.fixture
def fake_server(tmp_path: Path) -> Path:
    script = tmp_path / "fake_server.py"
    script.write_text(FAKE_SERVER)
    return script


@pytest.fixture
def join(state_dir: Path, fake_server: Path) -> Join:
    """Enter as a client of the fake server."""

    def enter(
        *, state_dir: Path = state_dir, keep: bool = False, say: Callable[[str], None] = quiet
    ) -> AbstractAsyncContextManager[Server]:
        return local_server(state_dir, keep=keep, say=say, argv=fake_argv(fake_server))

    return enter


def fake_argv(fake_server: Path) -> ServerArgv:
    """The command that starts the fake server on a port."""
    return lambda port: [sys.executable, str(fake_server), str(port)]


def starts(fake_server: Path) -> list[int]:
    """The pids of all fake servers that came to listen, in order."""
    return [int(line) for line in (fake_server.parent / "starts").read_text().split()]


def wait_until(done: Callable[[], bool]) -> None:
    """Wait, within bounds, for what another process does; the event loop stands still meanwhile."""
    deadline = monotonic() + SECONDS
    while not done():
        assert monotonic() < deadline
        sleep(0.01)


async def until(done: Callable[[], bool]) -> None:
    """Wait, within bounds, for what the local server's own tasks do."""
    with anyio.fail_after(SECONDS):
        while not done():  # noqa: ASYNC110 - what it waits for happens in other processes too
            await anyio.sleep(0.01)


def kill(address: Address) -> None:
    """Kill a server the hard way; its port is free afterwards."""
    os.killpg(address.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(address.process))


def get(url: str) -> object:
    with urlopen(url, timeout=10) as response:  # noqa: S310 - an address of this test's own server
        return json.loads(response.read())


@contextmanager
def foreign_server(port: int = 0) -> Iterator[int]:
    """Serve something else that looks like Prefect for another home, and give its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"home": "/home/of/another/.prefect"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
