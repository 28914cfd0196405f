"""The local server's life with Prefect's real server: rows survive the last client, and its database is made once."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from graftline.server import client_environment, local_server
from graftline.server_folder import ServerFolder
from tests.local_server import end_left_over, get, quiet

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


@pytest.fixture
def state_dirs(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two new state directories."""
    folders = (tmp_path / "one", tmp_path / "other")
    yield folders
    for folder in folders:
        end_left_over(folder)


def counts(database: Path) -> tuple[int, int]:
    """How many runs and how many types of blocks a database of Prefect's holds."""
    with closing(sqlite3.connect(database)) as opened:
        runs, types = (
            opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - the names are below
            for table in ("flow_run", "block_type")
        )
    return runs, types


async def test_prefects_own_server_records_every_row_and_the_next_state_directory_gets_an_empty_database(
    state_dirs: tuple[Path, Path], tmp_path: Path, isolated_environment: Path
) -> None:
    one, other = state_dirs
    script = tmp_path / "many.py"
    script.write_text(FLOW)
    async with local_server(one, say=quiet) as server:
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
    path = ServerFolder.of(one).database
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT state_type, count(*) FROM task_run GROUP BY state_type").fetchall()
    assert rows == [("COMPLETED", 40)]
    assert not (isolated_environment / ".prefect").exists()

    said: list[str] = []
    async with local_server(other, say=said.append) as server:
        assert get(f"{server.api_url}/health") is True
        assert counts(ServerFolder.of(other).database) == (0, counts(path)[1])
    assert said == ["starting the local Prefect server"]
    assert counts(path)[0] == 1
