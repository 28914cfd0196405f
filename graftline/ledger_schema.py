"""The ledger's table, version by version; a file of an older version is brought up to date when it is opened."""

import sqlite3
from pathlib import Path

from graftline.errors import UserError

# What each version adds to the one before; released ones never change.
_VERSIONS = (
    """
    CREATE TABLE calls (
        id            INTEGER PRIMARY KEY,
        run_id        TEXT NOT NULL,
        role          TEXT NOT NULL,
        task          TEXT,              -- null: a planner's call
        attempt       INTEGER,
        backend       TEXT NOT NULL,
        version       TEXT NOT NULL DEFAULT '',
        model         TEXT NOT NULL DEFAULT '',
        input_tokens  INTEGER,
        output_tokens INTEGER,
        cached_tokens INTEGER,
        cost_usd      REAL,              -- null: unknown, which is not 0
        reserved_usd  REAL NOT NULL,
        seconds       REAL,
        outcome       TEXT,
        started_at    TEXT NOT NULL,
        ended_at      TEXT               -- null: still open
    );
    CREATE INDEX calls_of_run ON calls (run_id);
    """,
    """
    ALTER TABLE calls ADD COLUMN profile TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN tier TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN deployment TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN cost_source TEXT;
    UPDATE calls SET cost_source = 'reported' WHERE cost_usd IS NOT NULL;
    CREATE INDEX calls_of_deployment ON calls (deployment) WHERE deployment <> '';
    CREATE INDEX calls_by_start ON calls (started_at);
    """,
)
SCHEMA_VERSION = len(_VERSIONS)


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a ledger, also an empty file, to this version; whoever calls it is alone with the file.

    Raises:
        UserError: the file is of a newer version.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{path} was written by a newer graftline (schema {version}, this one knows {SCHEMA_VERSION}): "
            "update graftline, or name another place with GRAFTLINE_STATE_DIR"
        )
    if version == 0:
        connection.execute("PRAGMA journal_mode = WAL")
    if version < SCHEMA_VERSION:
        steps = "".join(_VERSIONS[version:])
        connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
