"""The local server's life: who starts it, who joins, who stops it, and what a kill leaves behind.

A small web server stands in the place of Prefect's, which takes seconds to start.
"""

import asyncio
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import anyio
import pytest

from graftline import server_process
from graftline.errors import ExitCode, ServerUnavailableError
from graftline.file_lock import FileLock
from graftline.server import (
    Server,
    local_server,
    read_address,
    stop_server,
)
from graftline.server_folder import Address, ServerFolder
from graftline.server_process import start_time_of

FAKE_SERVER = """
import http.server, json, os, pathlib, sys
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
def state_dir(tmp_path: Path) -> Iterator[Path]:
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

    def enter(*, keep: bool = False, say: Callable[[str], None] = quiet) -> AbstractAsyncContextManager[Server]:
        return local_server(
            state_dir, keep=keep, say=say, argv=lambda port: [sys.executable, str(fake_server), str(port)]
        )

    return enter


def starts(fake_server: Path) -> list[int]:
    """The pids of all fake servers that came to listen, in order."""
    return [int(line) for line in (fake_server.parent / "starts").read_text().split()]


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


async def test_the_first_client_starts_others_join_the_last_one_stops(
    join: Join, state_dir: Path, fake_server: Path
) -> None:
    said: list[str] = []
    async with join(say=said.append) as first:
        async with join(say=said.append) as second:
            assert second == first
        address = read_address(state_dir)
        assert address is not None
        assert (first.api_url, first.ui_url, first.local) == (address.api_url, address.ui_url, True)
        assert first.api_url == f"{first.ui_url}/api"
    assert starts(fake_server) == [address.pid]
    assert start_time_of(address.pid) is None
    assert not ServerFolder.of(state_dir).address_file.exists()
    assert said == ["starting the local Prefect server; the first start makes its database and may take half a minute"]


async def test_the_first_client_may_leave_before_the_others(join: Join, state_dir: Path) -> None:
    first, second = join(), join()
    await first.__aenter__()
    await second.__aenter__()
    await first.__aexit__(None, None, None)
    assert read_address(state_dir) is not None
    await second.__aexit__(None, None, None)
    assert read_address(state_dir) is None


async def test_a_failing_client_leaves_like_any_other(join: Join, state_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with join():
            raise ZeroDivisionError
    assert read_address(state_dir) is None


async def test_a_kept_server_stays_until_a_client_without_keep_leaves_last(join: Join, state_dir: Path) -> None:
    async with join(keep=True) as kept:
        pass
    address = read_address(state_dir)
    assert address is not None
    async with join() as later:
        assert later == kept
        assert not await stop_server(state_dir), "it is in use"
    assert read_address(state_dir) is None
    assert await stop_server(state_dir)


async def test_a_kept_server_can_be_stopped(join: Join, state_dir: Path) -> None:
    async with join(keep=True):
        pass
    assert await stop_server(state_dir)
    assert read_address(state_dir) is None


async def test_stopping_what_never_was_makes_no_folders(state_dir: Path) -> None:
    assert await stop_server(state_dir)
    assert read_address(state_dir) is None
    assert not state_dir.exists()


async def test_clients_that_come_at_once_start_one_server(join: Join, fake_server: Path) -> None:
    entered = 0
    all_in = anyio.Event()
    said: list[str] = []
    urls: set[str] = set()

    async def client() -> None:
        nonlocal entered
        async with join(say=said.append) as server:
            urls.add(server.api_url)
            entered += 1
            if entered == 4:
                all_in.set()
            await all_in.wait()

    with anyio.fail_after(60):
        await asyncio.gather(*(client() for _ in range(4)))
    assert len(urls) == len(starts(fake_server)) == 1
    assert said.count("waiting for the local Prefect server that another graftline starts") == 3


def test_processes_that_come_at_once_start_one_server_and_a_killed_one_needs_no_care(
    state_dir: Path, fake_server: Path
) -> None:
    with start_client(state_dir, fake_server) as killed, start_client(state_dir, fake_server) as left:
        assert killed.stdout is not None
        assert left.stdout is not None
        assert killed.stdout.readline() == left.stdout.readline()
        assert len(starts(fake_server)) == 1
        killed.kill()
        killed.wait()
        assert read_address(state_dir) is not None
        left.communicate("")
        assert left.returncode == 0
    assert read_address(state_dir) is None


async def test_a_server_without_clients_after_a_kill_is_joined_and_then_stopped(
    join: Join, state_dir: Path, fake_server: Path
) -> None:
    with start_client(state_dir, fake_server) as client:
        assert client.stdout is not None
        url = client.stdout.readline().strip()
        client.kill()
        client.wait()
    async with join() as server:
        assert server.api_url == url
    assert read_address(state_dir) is None


async def test_a_killed_server_is_replaced_at_the_same_address_while_others_use_it(
    join: Join, state_dir: Path, fake_server: Path
) -> None:
    said: list[str] = []
    async with join() as before:
        old = read_address(state_dir)
        assert old is not None
        os.kill(old.pid, signal.SIGKILL)
        async with join(say=said.append) as after:
            new = read_address(state_dir)
            assert new is not None
            assert (after, new.port) == (before, old.port)
            assert starts(fake_server) == [old.pid, new.pid]
        assert read_address(state_dir) == new, "the first client still uses it"
    assert read_address(state_dir) is None
    assert said == ["the local Prefect server is gone without having been stopped; starting a new one"]


async def test_an_address_whose_pid_belongs_to_somebody_else_is_replaced_and_nobody_is_ended(
    join: Join, state_dir: Path, fake_server: Path
) -> None:
    folder = ServerFolder.of(state_dir)
    folder.create()
    with start_process("sleep", "60") as bystander:
        folder.write_address(Address(pid=bystander.pid, started="another time", port=9))
        async with join():
            assert len(starts(fake_server)) == 1
            assert bystander.poll() is None
        assert bystander.poll() is None
        bystander.kill()


async def test_a_port_that_somebody_else_serves_is_left_alone(join: Join, state_dir: Path) -> None:
    folder = ServerFolder.of(state_dir)
    folder.create()
    with start_process("true") as gone:
        gone.wait()
    with foreign_server() as port:
        folder.write_address(Address(pid=gone.pid, started="1", port=port))
        async with join() as server:
            assert server.ui_url != f"http://127.0.0.1:{port}"
            assert get(f"{server.api_url}/admin/settings") == {"home": str(folder.home)}


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1, "started": "x", "port": 80}', "\0" * 100])
async def test_a_broken_address_file_is_no_server(join: Join, state_dir: Path, content: str) -> None:
    folder = ServerFolder.of(state_dir)
    folder.create()
    folder.address_file.write_text(content)
    assert read_address(state_dir) is None
    async with join():
        assert read_address(state_dir) is not None
    assert not folder.address_file.exists()


async def test_who_comes_while_the_last_one_stops_the_server_waits_and_says_so(
    join: Join, state_dir: Path, fake_server: Path
) -> None:
    folder = ServerFolder.of(state_dir)
    folder.create()
    stopping = FileLock(folder.clients_lock)
    assert stopping.try_acquire()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        stopping.release()

    with anyio.fail_after(30):
        async with join(say=say):
            assert len(starts(fake_server)) == 1
    assert said[0] == "waiting for the last run's local Prefect server to finish and stop"


async def test_a_start_that_is_cancelled_leaves_no_server(state_dir: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    never_answers = [
        sys.executable,
        "-c",
        "import sys, signal; open(sys.argv[1], 'w').close(); signal.pause()",
        str(fifo),
    ]

    async def enter() -> None:
        async with local_server(state_dir, say=quiet, argv=lambda _port: never_answers):
            pytest.fail("it never answers")

    pids: list[int] = []
    async with anyio.create_task_group() as clients:
        clients.start_soon(enter)
        await asyncio.to_thread(fifo.read_bytes)  # returns once the server runs
        address = read_address(state_dir)
        assert address is not None
        pids.append(address.pid)
        clients.cancel_scope.cancel()
    assert start_time_of(pids[0]) is None
    assert not ServerFolder.of(state_dir).address_file.exists()


async def test_a_second_interrupt_while_rows_are_awaited_still_stops_the_server(
    join: Join, state_dir: Path, fake_server: Path, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    tell = f"self.path.endswith('/count') and open({str(fifo)!r}, 'w').close()"
    unfinished = FAKE_SERVER.replace("    def answer(self):\n", f"    def answer(self):\n        {tell}\n")
    fake_server.write_text(unfinished.replace(".get(self.path, 0)", ".get(self.path, 1)"))

    async def come_and_go() -> None:
        async with join():
            pass

    leaving = asyncio.create_task(come_and_go())
    await asyncio.to_thread(fifo.read_bytes)  # returns once rows are asked for
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert len(starts(fake_server)) == 1
    assert start_time_of(starts(fake_server)[0]) is None
    assert not ServerFolder.of(state_dir).address_file.exists()


async def test_a_server_that_does_not_start_is_an_error_with_the_end_of_its_log(state_dir: Path) -> None:
    broken = [sys.executable, "-c", "raise SystemExit('no such table: flow_run')"]
    with pytest.raises(
        ServerUnavailableError, match=r"(?s)server\.log.*no such table: flow_run.*PREFECT_API_URL"
    ) as caught:
        async with local_server(state_dir, say=quiet, argv=lambda _port: broken):
            pytest.fail("it cannot start")
    assert caught.value.exit_code is ExitCode.CANNOT_RUN
    assert not ServerFolder.of(state_dir).address_file.exists()


async def test_a_port_taken_in_the_last_moment_costs_only_another_try(state_dir: Path, fake_server: Path) -> None:
    ports: list[int] = []
    with ExitStack() as stack:

        def argv(port: int) -> Sequence[str]:
            if not ports:
                stack.enter_context(foreign_server(port))
            ports.append(port)
            return [sys.executable, str(fake_server), str(port)]

        async with local_server(state_dir, say=quiet, argv=argv) as server:
            assert server.ui_url == f"http://127.0.0.1:{ports[-1]}"
            assert len(ports) == 2


async def test_a_server_that_ignores_the_polite_signal_is_ended_with_its_group(
    join: Join, state_dir: Path, fake_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = "import signal, os\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nchild = os.fork()\n"
    fake_server.write_text(stubborn + "if child == 0: signal.pause()\n" + FAKE_SERVER)
    monkeypatch.setattr(server_process, "GRACE_SECONDS", 0.5)
    async with join():
        address = read_address(state_dir)
        assert address is not None
        children = Path(f"/proc/{address.pid}/task/{address.pid}/children")
        pids = [address.pid, *map(int, children.read_text().split() if children.exists() else [])]
    assert [start_time_of(pid) for pid in pids] == [None] * len(pids)


async def test_files_are_private_and_a_new_start_keeps_the_last_log(join: Join, state_dir: Path) -> None:
    folder = ServerFolder.of(state_dir)
    for _ in range(2):
        async with join():
            modes = {
                path.name: path.stat().st_mode & 0o777 for path in [state_dir, *folder.path.rglob("*"), folder.path]
            }
    assert modes == {
        "state": 0o700,
        folder.path.name: 0o700,
        "home": 0o700,
        "address.json": 0o600,
        "clients.lock": 0o600,
        "start.lock": 0o600,
        "server.log": 0o600,
        "server.log.1": 0o600,
    }


async def test_the_server_gets_neither_keys_nor_the_users_prefect_settings(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "PREFECT_API_KEY", "PREFECT_HOME", "GRAFTLINE_COST", "PREFECT_PROFILE"):
        monkeypatch.setenv(name, "the user's own")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    async with join() as server:
        environment = get(f"{server.api_url}/environ")
        assert isinstance(environment, dict)
        assert "the user's own" not in environment.values()
        assert environment["LC_ALL"] == "C.UTF-8"
        assert environment["PREFECT_UI_API_URL"] == server.api_url
