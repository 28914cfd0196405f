"""Facts kept by blob id in one SQLite file, so that only what has changed is parsed again.

It is a cache and no more: a file that is damaged is made anew, and facts of another version are not read. Any number of
processes may share it.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graftline.planning.facts import BlobFacts, BlobKey, Symbol
from graftline.planning.languages import grammar_version
from graftline.planning.words import Bag
from graftline.private_files import make_folder

SCHEMA = 1
"""Goes up with every change of what a row holds, be it a query, how words are taken apart or a limit."""
BUSY_SECONDS = 30.0
MOST_ROWS = 200_000
_CHUNK = 500
_TABLE = """
CREATE TABLE IF NOT EXISTS facts (
    blob TEXT NOT NULL,
    reader TEXT NOT NULL,
    said TEXT NOT NULL,
    names BLOB NOT NULL,
    name_counts BLOB NOT NULL,
    words BLOB NOT NULL,
    word_counts BLOB NOT NULL,
    PRIMARY KEY (blob, reader)
)
"""


@dataclass(frozen=True)
class FactsCache:
    """The cache in a file; it keeps no connection."""

    path: Path

    def prepare_and_load(self, keys: Sequence[BlobKey]) -> dict[BlobKey, BlobFacts]:
        """The facts that are kept of these contents, from a file that is whole: a damaged one is made anew."""
        make_folder(self.path.parent)
        try:
            found = self.load(keys)
            self._make_room()
        except sqlite3.OperationalError:  # locked, unreadable, disk full: what is in it may be whole
            raise
        except sqlite3.DatabaseError:
            for suffix in ("", "-journal"):
                self.path.with_name(f"{self.path.name}{suffix}").unlink(missing_ok=True)
            return {}
        return found

    def _make_room(self) -> None:
        with self._open() as connection:
            (rows,) = connection.execute("SELECT count(*) FROM facts").fetchone()
            if rows > MOST_ROWS:
                connection.execute("DELETE FROM facts")

    def load(self, keys: Sequence[BlobKey]) -> dict[BlobKey, BlobFacts]:
        """The facts that are kept of these contents."""
        readers: dict[str, list[BlobKey]] = {}
        for key in keys:
            readers.setdefault(key.language, []).append(key)
        found: dict[BlobKey, BlobFacts] = {}
        with self._open() as connection:
            for language, own in readers.items():
                for start in range(0, len(own), _CHUNK):
                    blobs = [key.blob for key in own[start : start + _CHUNK]]
                    marks = ",".join("?" * len(blobs))
                    rows = connection.execute(
                        "SELECT blob, said, names, name_counts, words, word_counts FROM facts "  # noqa: S608 (marks only)
                        f"WHERE reader = ? AND blob IN ({marks})",
                        (_reader(language), *blobs),
                    )
                    for blob, *row in rows:
                        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
                            found[BlobKey(blob, language)] = _facts(*row)
        return found

    def store(self, facts: Mapping[BlobKey, BlobFacts]) -> None:
        """Keep facts."""
        rows = [(key.blob, _reader(key.language), *_row(one)) for key, one in facts.items()]
        with self._open() as connection:
            connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # For the owner only, like all of the state directory: SQLite would go by the umask.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with contextlib.closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")  # a power cut costs the cache at worst
            connection.execute(_TABLE)
            yield connection


def _reader(language: str) -> str:
    return f"{SCHEMA}/{language}/{grammar_version(language)}" if language else f"{SCHEMA}/"


def _row(facts: BlobFacts) -> tuple[str, bytes, bytes, bytes, bytes]:
    symbols = [[symbol.name, symbol.kind, symbol.line] for symbol in facts.definitions]
    said = [facts.skipped, symbols, dict(facts.references), list(facts.imports), facts.names.length, facts.words.length]
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    names, words = facts.names, facts.words
    return text, names.numbers, names.counts, words.numbers, words.counts


def _facts(text: str, names: bytes, name_counts: bytes, words: bytes, word_counts: bytes) -> BlobFacts:
    skipped, symbols, references, imports, names_length, words_length = json.loads(text)
    return BlobFacts(
        definitions=tuple(Symbol(name, kind, line) for name, kind, line in symbols),
        references=references,
        imports=tuple(imports),
        names=Bag.stored(names, name_counts, names_length),
        words=Bag.stored(words, word_counts, words_length),
        skipped=skipped,
    )
