"""Local servers that die, or that nobody knows of: their clients go on at the same address."""

import os
from pathlib import Path

import pytest

from graftline import server
from graftline.file_lock import FileLock
from graftline.process import is_alive
from graftline.server import local_server, read_address, stop_server
from graftline.server_folder import Address, ServerFolder
from graftline.server_process import start_server
from tests.local_server import Join, fake_argv, foreign_server, kill, quiet, start_client, starts, until

GONE = "the local Prefect server is gone without having been stopped; starting a new one"


@pytest.fixture(autouse=True)
def watch_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after the server more often than once a second."""
    monkeypatch.setattr(server, "WATCH_SECONDS", 0.02)


def running(state_dir: Path) -> Address:
    """The server that runs now."""
    address = read_address(state_dir)
    assert address is not None
    return address


def is_replaced(state_dir: Path, old: Address) -> bool:
    """Whether another server has come in the place of one, and whoever started it is done with that."""
    starting = FileLock(ServerFolder.of(state_dir).start_lock)
    if read_address(state_dir) in {None, old} or not starting.try_acquire():
        return False
    starting.release()
    return True


async def kill_and_wait(state_dir: Path) -> None:
    """Kill the server, and wait until another one has come in its place."""
    old = running(state_dir)
    kill(old)
    await until(lambda: is_replaced(state_dir, old))


async def test_a_killed_server_is_replaced_at_the_same_address_once_for_all_its_clients(
    join: Join, state_dir: Path, fake_server: Path
) -> None:
    said: list[str] = []
    async with join(say=said.append) as one, join(say=said.append) as other:
        old = running(state_dir)
        said.clear()
        kill(old)
        await until(lambda: is_replaced(state_dir, old))
        async with join(say=said.append) as third:
            assert one == other == third
            new = running(state_dir)
            assert (new.port, starts(fake_server)) == (old.port, [old.pid, new.pid])
    assert read_address(state_dir) is None
    assert said.count(GONE) == 1


async def test_a_server_that_dies_now_and_then_is_always_started_again(
    join: Join, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STEADY_SECONDS", 0.0)
    async with join() as client:
        for _ in range(server.MOST_RESTARTS + 1):
            await kill_and_wait(state_dir)
        assert running(state_dir).api_url == client.api_url


async def test_a_server_that_dies_again_and_again_is_given_up(join: Join, state_dir: Path) -> None:
    said: list[str] = []
    async with join(say=said.append):
        for _ in range(server.MOST_RESTARTS):
            await kill_and_wait(state_dir)
        await until(lambda: said.count(GONE) == server.MOST_RESTARTS)
        kill(running(state_dir))
        await until(lambda: "died 4 times in a row and is not started again" in said[-1])
    assert read_address(state_dir) is None


async def test_a_server_whose_port_somebody_has_taken_is_given_up_and_says_so(
    join: Join, state_dir: Path, fake_server: Path
) -> None:
    said: list[str] = []
    async with join(say=said.append):
        old = running(state_dir)
        kill(old)  # and nothing awaited until somebody else has the port
        with foreign_server(old.port):
            await until(lambda: f"its port {old.port} is taken by another program" in said[-1])
    assert starts(fake_server) == [old.pid]
    assert not ServerFolder.of(state_dir).address_file.exists()


async def test_a_server_that_came_back_elsewhere_is_of_no_use_to_its_clients(
    join: Join, state_dir: Path, fake_server: Path
) -> None:
    folder = ServerFolder.of(state_dir)
    said: list[str] = []
    async with join(say=said.append):
        old = running(state_dir)
        starting = FileLock(folder.start_lock)
        assert starting.try_acquire()
        kill(old)
        await until(lambda: said[-1] == "waiting for the local Prefect server that another graftline starts")
        with foreign_server(old.port):
            elsewhere = await start_server(folder, argv=fake_argv(fake_server), ports=(old.port, 0), environ=os.environ)
            starting.release()
            await until(lambda: f"is at {elsewhere.ui_url} now, and not at port {old.port}" in said[-1])
    assert len(starts(fake_server)) == 2
    assert not is_alive(elsewhere.process)


async def test_a_client_that_leaves_while_its_server_is_started_again_leaves_nothing(
    state_dir: Path, fake_server: Path
) -> None:
    go_on = fake_server.with_name("go on")
    held = f"import os, pathlib; open({str(go_on)!r}).read() if pathlib.Path({str(go_on)!r}).exists() else None\n"
    fake_server.write_text(held + fake_server.read_text())
    async with local_server(state_dir, say=quiet, argv=fake_argv(fake_server)):
        old = running(state_dir)
        os.mkfifo(go_on)  # the next one gets no further than this
        kill(old)
        await until(lambda: (read_address(state_dir) or old) != old)
        new = running(state_dir)
    assert not is_alive(new.process)
    assert not ServerFolder.of(state_dir).address_file.exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="a server that nobody recorded is found by way of /proc")
@pytest.mark.parametrize("comes_next", ["a start", "a stop"])
async def test_a_server_whose_starter_was_killed_before_it_recorded_it_is_found_and_ended(
    comes_next: str, join: Join, state_dir: Path, fake_server: Path
) -> None:
    with start_client(state_dir, fake_server) as starter:
        assert starter.stdout is not None
        starter.stdout.readline()
        starter.kill()
        starter.wait()
    unknown = running(state_dir)
    ServerFolder.of(state_dir).address_file.unlink()  # as if the kill had come before it was written
    if comes_next == "a start":
        async with join():
            assert not is_alive(unknown.process)
            assert starts(fake_server) == [unknown.pid, running(state_dir).pid]
    else:
        assert await stop_server(state_dir)
        assert not is_alive(unknown.process)
