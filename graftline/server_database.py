"""Prefect's empty database, kept once per version, so that a new state directory need not build its own.

A server builds it by going through every migration Prefect ever had: most of the time of a first start, for a file that
comes out the same everywhere. What is kept is a copy from before anybody used the server. It is a cache: whatever is
wrong with it costs a slower start and nothing else.
"""

import contextlib
import gzip
import sqlite3
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from graftline.errors import CannotRunError
from graftline.private_files import write_file
from graftline.server_folder import ServerFolder, prefect_version
from graftline.store import cache_place


def kept_database(environ: Mapping[str, str]) -> Path:
    """Where the empty database of the Prefect that is installed is, or would be, kept."""
    return cache_place(environ) / f"prefect-{prefect_version()}.db.gz"


def provide_database(folder: ServerFolder, environ: Mapping[str, str]) -> bool:
    """Give a server that has no database the one that is kept; whether there is one."""
    try:
        # The checksum in it tells a damaged file.
        content = gzip.decompress(kept_database(environ).read_bytes())
    except (OSError, EOFError, zlib.error, CannotRunError):
        return False
    if content:  # no bytes at all decompress to none
        write_file(folder.database, content)
    return bool(content)


def keep_database(folder: ServerFolder, environ: Mapping[str, str]) -> None:
    """Keep a copy of the database a server has just made; nobody may have used the server yet."""
    with (
        contextlib.suppress(OSError, sqlite3.Error, CannotRunError),
        tempfile.TemporaryDirectory(dir=folder.path, prefix="copy.") as place,
        closing(sqlite3.connect(f"{folder.database.as_uri()}?mode=rw", uri=True)) as database,
    ):
        copy = Path(place) / folder.database.name
        # In one file, with what is still in the write-ahead log; the server may go on writing meanwhile.
        database.execute("VACUUM INTO ?", (str(copy),))
        write_file(kept_database(environ), gzip.compress(copy.read_bytes(), mtime=0))
