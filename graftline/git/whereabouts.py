"""Where work is beside the hub: whether a branch or a tag of the user's repository leads to it. Nothing here writes."""

from collections.abc import Iterable

from graftline.git.command import git
from graftline.git.repository import Repository

KEEPERS = ("--branches", "--tags", "--remotes")
"""The refs that keep work. A stash or a reflog does not: it is made to be thrown away."""


def kept_commits(repository: Repository, commits: Iterable[str]) -> frozenset[str]:
    """Those of the commits that a branch, a tag or a remote-tracking branch of the repository contains."""
    asked = sorted(set(commits))
    if not asked:
        return frozenset()
    looked_up = git(
        ["cat-file", "--batch-check=%(objectname) %(objecttype)"], git_dir=repository.git_dir, stdin=_lines(asked)
    )
    there = {line.removesuffix(" commit") for line in looked_up.text.splitlines() if line.endswith(" commit")}
    if not there:
        return frozenset()
    beyond = git(["rev-list", "--stdin", "--not", *KEEPERS], git_dir=repository.git_dir, stdin=_lines(sorted(there)))
    return frozenset(there - set(beyond.text.splitlines()))


def _lines(words: Iterable[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()
