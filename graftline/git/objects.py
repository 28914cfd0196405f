"""Files of a commit read from the object database, without a checkout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graftline.git.command import git

_REGULAR = frozenset({"100644", "100755"})


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A regular file of a commit; `size` is -1 when the repository lacks its content, as a partial clone may."""

    path: str
    blob: str
    size: int


def list_tree(git_dir: Path, commit: str) -> tuple[TreeFile, ...]:
    """The regular files of a commit in git's order: no links, no submodules."""
    listed = git(["ls-tree", "-r", "-l", "-z", "--full-tree", commit], git_dir=git_dir).fields
    files = []
    for entry in listed:
        about, _, path = entry.partition("\t")
        mode, _, blob, size = about.split()
        if mode in _REGULAR:
            files.append(TreeFile(path, blob, int(size) if size.isdecimal() else -1))
    return tuple(files)


def read_blobs(git_dir: Path, blobs: Sequence[str]) -> dict[str, bytes]:
    """The contents of blobs by id, all in memory: whoever asks keeps an eye on their sizes."""
    answer = git(["cat-file", "--batch"], git_dir=git_dir, stdin="".join(f"{blob}\n" for blob in blobs).encode()).stdout
    contents = {}
    position = 0
    for blob in blobs:
        end = answer.index(b"\n", position)
        start = end + 1
        size = int(answer[position:end].split()[2])  # "<id> missing" has none: a repository that lacks it is broken
        contents[blob] = answer[start : start + size]
        position = start + size + 1
    return contents
