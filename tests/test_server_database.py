"""The empty database that is kept for new state directories: whatever is wrong with it costs time and nothing else."""

import importlib.metadata
import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from graftline.server_database import keep_database, kept_database, provide_database
from graftline.server_folder import ServerFolder
from tests.local_server import Join, get


def make_database(state_dir: Path) -> ServerFolder:
    """The folder of a server that has made its database, which still is partly in the write-ahead log."""
    folder = ServerFolder.of(state_dir)
    folder.create()
    with closing(sqlite3.connect(folder.database)) as database:
        database.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE flow_run (id); CREATE TABLE alembic_version (number);"
            "INSERT INTO alembic_version VALUES ('1')"
        )
    return folder


def rows(database: Path, table: str) -> list[object]:
    """What a table holds."""
    with closing(sqlite3.connect(database)) as opened:
        return opened.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - the name is one of this file's


async def test_only_the_first_of_all_state_directories_waits_for_its_database(
    join: Join, state_dir: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    slow = "starting the local Prefect server; the first start makes its database and may take half a minute"
    async with join(say=said.append) as server:
        with closing(sqlite3.connect(ServerFolder.of(state_dir).database)) as database:
            database.execute("INSERT INTO flow_run VALUES ('the run of a person')")
            database.commit()
        assert looks_again(server.api_url)
    other = tmp_path / "other"
    async with join(state_dir=other, say=said.append) as server:
        assert rows(ServerFolder.of(other).database, "flow_run") == []
        assert not looks_again(server.api_url)
    async with join(say=said.append) as server:
        assert looks_again(server.api_url)
    assert said == [slow, "starting the local Prefect server", "starting the local Prefect server"]
    assert rows(ServerFolder.of(state_dir).database, "flow_run") == [("the run of a person",)]
    third = ServerFolder.of(tmp_path / "third")
    assert provide_database(third, os.environ)
    assert rows(third.database, "flow_run") == []


def looks_again(api_url: str) -> bool:
    """Whether a server was told to bring its database up to date."""
    environment = get(f"{api_url}/environ")
    assert isinstance(environment, dict)
    names = {"PREFECT_API_DATABASE_MIGRATE_ON_START", "PREFECT_API_BLOCKS_REGISTER_ON_START"}
    told = {environment.get(name) for name in names}
    assert told in ({None}, {"false"})
    return told == {None}


def test_what_is_kept_is_private_and_named_after_the_exact_version(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    keep_database(make_database(tmp_path / "one"), environ)
    kept = kept_database(environ)
    assert kept.parent == tmp_path / "cache" / "graftline"
    assert kept.name == f"prefect-{importlib.metadata.version('prefect')}.db.gz"
    assert (kept.parent.stat().st_mode & 0o777, kept.stat().st_mode & 0o777) == (0o700, 0o600)
    new = ServerFolder.of(tmp_path / "new")
    assert provide_database(new, environ)
    assert new.database.stat().st_mode & 0o777 == 0o600
    assert rows(new.database, "alembic_version") == [("1",)]
    assert sorted(kept.parent.iterdir()) == [kept]


def replace_with(content: bytes) -> Callable[[bytes], bytes]:
    """Something else altogether."""
    return lambda _whole: content


@pytest.mark.parametrize(
    "damage",
    [
        replace_with(b""),
        replace_with(b"no database at all"),
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-8] + bytes(8),
        lambda whole: whole[:50] + bytes(20) + whole[70:],
    ],
    ids=["empty", "something else", "cut", "end lost", "overwritten"],
)
def test_a_damaged_copy_is_ignored_and_replaced(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    made = make_database(tmp_path / "one")
    keep_database(made, environ)
    kept = kept_database(environ)
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    new = ServerFolder.of(tmp_path / "new")
    assert not provide_database(new, environ)
    assert not new.database.exists()
    keep_database(made, environ)
    assert kept.read_bytes() == whole
    assert provide_database(new, environ)


def test_a_cache_that_cannot_be_written_fails_nothing(
    tmp_path: Path, disk_full_at: Callable[[int], AbstractContextManager[None]]
) -> None:
    made = make_database(tmp_path / "one")
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with disk_full_at(4096):
        keep_database(made, environ)
    assert not kept_database(environ).exists()
    (tmp_path / "a file").touch()
    for place in ({"XDG_CACHE_HOME": str(tmp_path / "a file")}, {"HOME": str(tmp_path / "a file")}):
        keep_database(made, place)
        assert not provide_database(ServerFolder.of(tmp_path / "new"), place)
    assert sorted(path.name for path in made.path.iterdir()) == ["home"]


def test_a_server_without_a_database_leaves_nothing_to_keep(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    folder = ServerFolder.of(tmp_path / "one")
    folder.create()
    keep_database(folder, environ)
    assert not folder.database.exists()
    assert not kept_database(environ).exists()
