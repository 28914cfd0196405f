"""What the tracked files of a commit define, use, import and say: ranking and the prediction of conflicts go by it."""

import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import anyio.to_thread

from graftline.errors import CannotRunError
from graftline.git.objects import TreeFile
from graftline.git.repository import Repository
from graftline.planning.facts import BlobFacts, BlobKey, Symbol
from graftline.planning.facts_cache import FactsCache
from graftline.planning.imports import ImportResolver
from graftline.planning.languages import language_of
from graftline.planning.parsing_process import CacheFailedError, parse_blobs
from graftline.planning.tracked import skip_reason, tracked_files
from graftline.planning.words import NO_WORDS, Bag

__all__ = ["FileFacts", "RepositoryIndex", "Symbol", "index_repository"]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One tracked file. `language` is empty when it is not one that is parsed, `skipped` says why it was not read.

    `definitions` come in the order of the file; `references` are the names it uses and does not define, and how often;
    `imports` are tracked files, as far as import statements tell.
    """

    path: str
    blob: str
    size: int
    language: str
    definitions: tuple[Symbol, ...] = ()
    references: Mapping[str, int] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    names: Bag = NO_WORDS
    words: Bag = NO_WORDS
    skipped: str = ""


@dataclass(frozen=True)
class RepositoryIndex:
    """The tracked files of one commit by path, in git's order."""

    files: Mapping[str, FileFacts]


async def index_repository(repository: Repository, commit: str, *, cache: Path | None) -> RepositoryIndex:
    """The index of a commit.

    What files say is kept by blob id in the file `cache`; without one, or when it cannot be used, all are parsed.
    """
    files = await anyio.to_thread.run_sync(tracked_files, repository.git_dir, commit)
    facts = await read_facts(repository, files, cache=cache)
    return await anyio.to_thread.run_sync(assemble_index, files, facts)


async def read_facts(
    repository: Repository, files: Sequence[TreeFile], *, cache: Path | None
) -> dict[BlobKey, BlobFacts]:
    """What the contents of the files say; files that are only named have no entry."""
    sizes = {BlobKey(file.blob, language_of(file.path)): file.size for file in files if not skip_reason(file)}
    if cache is not None:
        try:
            return await _read_through(FactsCache(cache), repository.git_dir, sizes)
        except (sqlite3.Error, OSError, CannotRunError, CacheFailedError):
            pass  # a cache is no reason to fail
    with tempfile.TemporaryDirectory(prefix="graftline-") as folder:
        return await _read_through(FactsCache(Path(folder) / "facts.db"), repository.git_dir, sizes)


async def _read_through(cache: FactsCache, git_dir: Path, sizes: Mapping[BlobKey, int]) -> dict[BlobKey, BlobFacts]:
    keys = list(sizes)
    facts = await anyio.to_thread.run_sync(cache.prepare_and_load, keys)
    missing = {key: size for key, size in sizes.items() if key not in facts}
    if missing:
        await parse_blobs(git_dir, missing, cache)
        facts |= await anyio.to_thread.run_sync(cache.load, list(missing))
    return facts


def assemble_index(files: Sequence[TreeFile], facts: Mapping[BlobKey, BlobFacts]) -> RepositoryIndex:
    """The index of these files, given what their contents say."""
    resolver = ImportResolver(file.path for file in files)
    unread = BlobFacts(skipped="unreadable")
    indexed = {}
    for file in files:
        language = language_of(file.path)
        reason = skip_reason(file)
        said = BlobFacts(skipped=reason) if reason else facts.get(BlobKey(file.blob, language), unread)
        indexed[file.path] = FileFacts(
            path=file.path,
            blob=file.blob,
            size=file.size,
            language=language,
            definitions=said.definitions,
            references=said.references,
            imports=resolver.resolve(file.path, language, said.imports) if said.imports else (),
            names=said.names,
            words=said.words,
            skipped=said.skipped,
        )
    return RepositoryIndex(MappingProxyType(indexed))
