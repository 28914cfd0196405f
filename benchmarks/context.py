"""How well the files of a request are found, and how long that takes.

Requests are the messages of the last 200 suitable commits of real repositories (`benchmarks.real_requests`); the tree
and the history are those of each commit's parent; right are the source files that the commit changed. Recall is the
share of them among the first 5, 10 and 20 source files, beside BM25 over the text of files, in the same words (taken
apart and without endings) as ours, and beside the number of the request's words in paths. Before that, the time and
memory that indexing, reading the history and building a context take, from nothing and from the cache.

Run: `python -m benchmarks.context REPOSITORY…` (bare ones too).
"""

import argparse
import asyncio
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.real_requests import MOST_FILES, RealRequest, ancestry, leading_to, real_requests
from graftline.git.command import git
from graftline.git.repository import Repository
from graftline.planning.context import build_context
from graftline.planning.history import MAX_COMMITS, History, read_history
from graftline.planning.index import RepositoryIndex, assemble_index, index_repository, read_facts
from graftline.planning.ranking import rank_files
from graftline.planning.signals import Corpus, by_text, request_words
from graftline.planning.tracked import tracked_files
from graftline.settings import PlannerSettings

DEPTHS = (5, 10, 20)
REQUESTS = 200
TREES_AT_ONCE = 50
"""Requests whose trees are held in memory together."""

Ranker = Callable[[str, Corpus, History], Sequence[str]]


def rank_by_text(request: str, corpus: Corpus, history: History) -> list[str]:
    """Files by BM25 over their text."""
    del history
    scores = by_text(corpus, dict.fromkeys(request_words(request), 1.0))
    return _best_first({corpus.files[place].path: score for place, score in scores.items()})


def rank_by_path(request: str, corpus: Corpus, history: History) -> list[str]:
    """Files by how many of the request's words their paths have."""
    del history
    words = request_words(request)
    scores: dict[str, float] = {}
    for word in words:
        for place in corpus.path_words.get(word, ()):
            path = corpus.files[place].path
            scores[path] = scores.get(path, 0.0) + 1
    return _best_first(scores)


RANKERS: Mapping[str, Ranker] = {
    "graftline": lambda request, corpus, history: rank_files(request, corpus=corpus, history=history),
    "BM25": rank_by_text,
    "path words": rank_by_path,
}


@dataclass(frozen=True)
class Recall:
    """The mean share of the right files among the first ones, by ranker and depth."""

    repository: str
    files: int
    requests: int
    shares: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Cost:
    """What one start took, from reading the tree to the finished context; CPU is that of all processes together."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


async def measure_recall(git_dir: Path, *, limit: int, cache: Path) -> Recall:
    """The recall of every ranker over the last `limit` suitable commits of a repository."""
    parents = ancestry(git_dir)
    history = read_history(_repository(git_dir), "HEAD", max_commits=3 * MAX_COMMITS)
    sums = {name: [0.0] * len(DEPTHS) for name in RANKERS}
    count = files = 0
    async for request, index in _indexed(git_dir, cache):
        right = [path for path in request.changed if _is_source(index, path)]
        if not 1 <= len(right) <= MOST_FILES:
            continue
        earlier = leading_to(request.parent, parents)
        known = History(tuple(commit for commit in history.commits if commit.id in earlier)[:MAX_COMMITS])
        corpus = Corpus(index)
        for name, rank in RANKERS.items():
            found = [path for path in rank(request.text, corpus, known) if _is_source(index, path)]
            for place, depth in enumerate(DEPTHS):
                sums[name][place] += len(set(found[:depth]) & set(right)) / len(right)
        count, files = count + 1, files or len(index.files)
        if count == limit:
            break
    shares = {name: tuple(total / max(count, 1) for total in totals) for name, totals in sums.items()}
    return Recall(_name(git_dir), files, count, shares)


async def _indexed(git_dir: Path, cache: Path) -> AsyncIterator[tuple[RealRequest, RepositoryIndex]]:
    """Requests and the indexes of their trees; what many trees share is read once."""
    requests = real_requests(git_dir)
    while batch := list(islice(requests, TREES_AT_ONCE)):
        trees = {request.parent: tracked_files(git_dir, request.parent) for request in batch}
        files = {(file.path, file.blob): file for tree in trees.values() for file in tree}
        facts = await read_facts(_repository(git_dir), list(files.values()), cache=cache)
        for request in batch:
            yield request, assemble_index(trees[request.parent], facts)


def measure_cost(git_dir: Path, cache: Path) -> Cost:
    """What it costs, in a process of its own, to build a context for the message of the latest commit."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.context", "--once", str(cache), str(git_dir)]
    seconds, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Cost(time.monotonic() - begun, seconds, memory)


async def build_once(git_dir: Path, cache: Path) -> tuple[float, float]:
    """Build one context; CPU seconds of this process and its children so far, and the largest one's memory in MB."""
    repository = _repository(git_dir)
    commit = git(["rev-parse", "HEAD"], git_dir=git_dir).text
    index = await index_repository(repository, commit, cache=cache)
    history = read_history(repository, commit)
    request = git(["log", "-1", "--format=%B", commit], git_dir=git_dir).text
    build_context(
        repository, commit, request, index=index, history=history, max_tokens=PlannerSettings().context_tokens
    )
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return seconds, max(usage.ru_maxrss for usage in usages) * unit / 1e6


def _is_source(index: RepositoryIndex, path: str) -> bool:
    facts = index.files.get(path)
    return facts is not None and bool(facts.language) and not facts.skipped


def _best_first(scores: Mapping[str, float]) -> list[str]:
    return sorted(scores, key=lambda path: (-scores[path], path))


def _repository(git_dir: Path) -> Repository:
    return Repository(git_dir, git_dir, git_dir)


def _name(git_dir: Path) -> str:
    return git_dir.parent.name if git_dir.name in ("repo", ".git") else git_dir.name


def _recall_row(label: str, shares: Mapping[str, Sequence[float]]) -> str:
    cells = [" / ".join(f"{100 * share:.0f}" for share in shares[name]) for name in RANKERS]
    ours, *others = (shares[name][DEPTHS.index(10)] for name in RANKERS)
    return f"| {label} | {' | '.join(cells)} | {100 * (ours - max(others)):+.1f} |"


def compare_costs(repositories: Sequence[Path], *, folder: Path) -> None:
    """Print what a context costs in each repository. It comes first: a process starts with its parent's peak memory."""
    print("A context from nothing, then from the cache: wall clock, CPU of all processes, memory of the largest.\n")
    print("| repository | cold | warm |")
    print("|---|---:|---:|")
    for number, git_dir in enumerate(repositories):
        costs = [measure_cost(git_dir, folder / f"cost-{number}.db") for _ in ("cold", "warm")]
        cells = [f"{cost.wall_seconds:.1f} s, {cost.cpu_seconds:.1f} s CPU, {cost.peak_mb:.0f} MB" for cost in costs]
        print(f"| {_name(git_dir)} | {' | '.join(cells)} |", flush=True)


async def compare_recall(repositories: Sequence[Path], *, limit: int, folder: Path) -> None:
    """Print the recall of every ranker in each repository, and its mean."""
    depths = " / ".join(map(str, DEPTHS))
    print(f"\nRecall in percent at {depths}; the last column is at 10, against the better of the other two.\n")
    print(f"| repository | files | requests | {' | '.join(RANKERS)} | gain |")
    print("|---|---:|---:|" + "---:|" * (len(RANKERS) + 1))
    rows: list[Recall] = []
    for git_dir in repositories:
        row = await measure_recall(git_dir, limit=limit, cache=folder / f"recall-{len(rows)}.db")
        print(_recall_row(f"{row.repository} | {row.files} | {row.requests}", row.shares), flush=True)
        rows.append(row)
    means = {
        name: [sum(row.shares[name][place] for row in rows) / len(rows) for place in range(len(DEPTHS))]
        for name in RANKERS
    }
    print(_recall_row("mean | |", means))


def main() -> None:
    """Compare over the repositories that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "repositories", nargs="+", type=Path, metavar="REPOSITORY", help="a checkout or a bare repository"
    )
    parser.add_argument(
        "--requests", type=int, default=REQUESTS, metavar="N", help=f"per repository (default: {REQUESTS})"
    )
    parser.add_argument("--once", type=Path, metavar="CACHE", help="build one context and print what it took")
    chosen = parser.parse_args()
    git_dirs = [path / ".git" if (path / ".git").is_dir() else path for path in chosen.repositories]
    if chosen.once is not None:
        print(json.dumps(asyncio.run(build_once(git_dirs[0], chosen.once))))
        return
    with tempfile.TemporaryDirectory(prefix="context-") as name:
        compare_costs(git_dirs, folder=Path(name))
        asyncio.run(compare_recall(git_dirs, limit=chosen.requests, folder=Path(name)))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
