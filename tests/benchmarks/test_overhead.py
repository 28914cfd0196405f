"""The counter that the comparison with graftline rests on."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.overhead import GitCounter


def test_every_git_call_is_counted_and_handed_on(tmp_path: Path) -> None:
    counter = GitCounter(tmp_path / "bin with space")
    counter.install()
    git, repository = counter.folder / "git", tmp_path / "repository"

    def call(*arguments: str) -> str:
        return subprocess.run([git, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    call("init", "-q", str(repository))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: call("-C", str(repository), "rev-parse", "--is-inside-work-tree"), range(20)))

    assert answers == ["true\n"] * 20
    assert counter.count() == 21
