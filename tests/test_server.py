"""The local server's life: who starts it, who joins, who stops it, and what a kill leaves behind.

What becomes of a server that is killed: tests/test_server_watch.py.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from graftline import server_process
from graftline.errors import ExitCode, ServerUnavailableError
from graftline.file_lock import FileLock
from graftline.process import identify, is_alive
from graftline.server import local_server, read_address, stop_server
from graftline.server_folder import Address, ServerFolder
from tests.local_server import FAKE_SERVER, Join, foreign_server, get, quiet, start_client, start_process, starts


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
    assert not is_alive(address.process)
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


async def test_a_server_that_is_only_recorded_is_ended_by_its_record(state_dir: Path) -> None:
    folder = ServerFolder.of(state_dir)
    folder.create()
    with start_process("sleep", "60") as server:
        folder.write_address(Address(pid=server.pid, started=identify(server.pid).started, port=9))
        assert await stop_server(state_dir)
        assert server.wait(10) == -signal.SIGTERM
    assert not folder.address_file.exists()


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

    addresses: list[Address] = []
    async with anyio.create_task_group() as clients:
        clients.start_soon(enter)
        await asyncio.to_thread(fifo.read_bytes)  # returns once the server runs
        address = read_address(state_dir)
        assert address is not None
        addresses.append(address)
        clients.cancel_scope.cancel()
    assert not is_alive(addresses[0].process)
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
    assert not is_alive(identify(starts(fake_server)[0]))
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
        group = [identify(pid) for pid in pids]
    assert not any(is_alive(member) for member in group)


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
        "prefect.db": 0o600,
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
