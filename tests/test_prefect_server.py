"""The local server's life with Prefect's real server: rows survive the last client, and a killed one is replaced."""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import anyio
import pytest

from graftline.server import client_environment, copy_database, local_server, read_address
from graftline.server_folder import ServerFolder

pytestmark = pytest.mark.prefect

FLOW = """
from prefect import flow, task

@task
async def step(number: int) -> int:
    return number

@flow(log_prints=False)
async def many() -> None:
    for number in range(40):
        await step(number)

if __name__ == "__main__":
    import asyncio
    asyncio.run(many())
"""


def get(url: str) -> object:
    with urlopen(url, timeout=10) as response:  # noqa: S310 - an address of this test's own server
        return json.loads(response.read())


def end_left_over(state_dir: Path) -> None:
    """Do not let a failing test leave its server running."""
    address = read_address(state_dir)
    if address is not None:
        os.killpg(address.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state directory in which Prefect's server has made its database."""
    folder = tmp_path_factory.mktemp("migrated")
    yield folder
    end_left_over(folder)


async def test_prefects_own_server_records_every_row_before_it_is_stopped(
    migrated: Path, tmp_path: Path, isolated_environment: Path
) -> None:
    script = tmp_path / "many.py"
    script.write_text(FLOW)
    async with local_server(migrated, say=lambda _line: None) as server:
        pages = get(f"{server.ui_url}/ui-settings")
        assert isinstance(pages, dict)
        assert pages["api_url"] == server.api_url
        settings = get(f"{server.api_url}/admin/settings")
        assert isinstance(settings, dict)
        assert settings["server"]["analytics_enabled"] is False
        assert settings["server"]["ui"]["show_promotional_content"] is False
        assert settings["server"]["api"]["cors_allowed_origins"].startswith(server.ui_url)
        assert "filesystem" in settings["server"]["concurrency"]["lease_storage"]
        done = await anyio.run_process(
            [sys.executable, str(script)], env={**os.environ, **client_environment(server)}, cwd=tmp_path
        )
        assert done.stdout + done.stderr == b"", "Prefect is quiet"
    path = ServerFolder.of(migrated).database
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT state_type, count(*) FROM task_run GROUP BY state_type").fetchall()
    assert rows == [("COMPLETED", 40)]
    assert not (isolated_environment / ".prefect").exists()


async def test_prefects_own_server_is_replaced_after_a_kill_on_a_copied_database(
    migrated: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    state_dir = tmp_path / "state"
    request.addfinalizer(lambda: end_left_over(state_dir))
    copy_database(migrated, state_dir)
    said: list[str] = []
    async with local_server(state_dir, say=said.append) as before:
        address = read_address(state_dir)
        assert address is not None
        os.kill(address.pid, signal.SIGKILL)
        async with local_server(state_dir, say=said.append) as after:
            assert after == before
            assert get(f"{after.api_url}/health") is True
    assert read_address(state_dir) is None
    assert said == [
        "starting the local Prefect server",
        "the local Prefect server is gone without having been stopped; starting a new one",
    ]
