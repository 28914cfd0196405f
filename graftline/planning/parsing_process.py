"""Has files parsed in processes of their own, and starts them again without a file that one died of."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

import graftline
from graftline.errors import GraftlineError
from graftline.planning.facts import BlobFacts, BlobKey
from graftline.planning.facts_cache import FactsCache
from graftline.planning.parsing import CACHE_FAILED
from graftline.process import Command, Limits, run_process

MAX_PROCESSES = 4
LEAST_FILES = 200
"""Files that are worth a further process: starting one takes half a second."""
MAX_DEATHS = 20
"""Processes that may die before the files that are left are given up for this time."""
MAX_SECONDS = 600.0
"""For all files; 10,000 take half a minute. What is left then is parsed the next time."""
_PASSED_ON = ("PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "LANG", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")


class CacheFailedError(Exception):
    """The process could not keep what it found: the disk is full, or the cache locked."""


async def parse_blobs(
    git_dir: Path, sizes: Mapping[BlobKey, int], cache: FactsCache, *, seconds: float = MAX_SECONDS
) -> None:
    """Put the facts of these contents, whose sizes are given, into the cache; what takes longer is left out.

    Raises:
        CacheFailedError: the cache does not take them.
    """
    processes = max(1, min(MAX_PROCESSES, os.cpu_count() or 1, len(sizes) // LEAST_FILES))
    keys = list(sizes)
    # The exception of one share, not a group of them, is what callers know.
    failures: list[CacheFailedError] = []

    async def parse(share: Sequence[BlobKey]) -> None:
        try:
            await _parse_share(git_dir, share, sizes, cache)
        except CacheFailedError as failure:
            failures.append(failure)

    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:
            for first in range(processes):
                group.start_soon(parse, keys[first::processes])
    if failures:
        raise failures[0]


async def _parse_share(git_dir: Path, keys: Sequence[BlobKey], sizes: Mapping[BlobKey, int], cache: FactsCache) -> None:
    left = list(keys)
    for _ in range(MAX_DEATHS):
        stored, reached = await _run(git_dir, left, sizes, cache)
        if stored == len(left):
            return
        cache.store({left[reached]: BlobFacts(skipped="unreadable")})
        left = [key for place, key in enumerate(left) if place >= stored and place != reached]
        if not left:
            return


async def _run(
    git_dir: Path, keys: Sequence[BlobKey], sizes: Mapping[BlobKey, int], cache: FactsCache
) -> tuple[int, int]:
    """How many files one process has put into the cache, and the place of the one it was at."""
    job = {"git_dir": str(git_dir), "cache": str(cache.path), "blobs": keys, "sizes": [sizes[key] for key in keys]}
    stored = reached = 0

    def note(line: str) -> None:
        nonlocal stored, reached
        word, _, number = line.partition(" ")
        if word == "stored":
            stored = int(number)
        else:
            reached = int(number)

    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Where this very graftline is, installed or not; without -P the folder it is started in would come first.
    env["PYTHONPATH"] = str(Path(graftline.__file__).parents[1])
    with tempfile.TemporaryDirectory(prefix="graftline-") as folder:
        command = Command(
            (sys.executable, "-P", "-m", "graftline.planning.parsing"),
            cwd=Path(folder),
            env=env,
            stdin=json.dumps(job).encode(),
        )
        ended = await run_process(command, log=Path(folder) / "log", limits=Limits(), on_line=note)
    if ended.status == CACHE_FAILED:
        raise CacheFailedError
    if ended.status > 0:
        raise GraftlineError(f"the process that parses files failed: {ended.stderr_tail}")
    return (len(keys), len(keys)) if ended.status == 0 else (stored, reached)
