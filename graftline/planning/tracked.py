"""Which tracked files planning looks at, and which of them it only names."""

from pathlib import Path

import pathspec

from graftline.errors import RepositoryError
from graftline.git.objects import TreeFile, list_tree, read_blobs

IGNORE_FILE = ".graftlineignore"
MAX_BYTES = 256 * 1024
"""A source file is smaller; what is larger is data, or was generated."""
_IGNORE_BYTES = 64 * 1024
_VENDORED = frozenset(
    {"node_modules", "bower_components", "vendor", "vendored", "_vendor", "third_party", "third-party", "thirdparty"}
)
_GENERATED_NAMES = (
    ".lock",
    ".min.js",
    ".min.css",
    ".map",
    ".snap",
    ".svg",
    "-lock.json",
    "-lock.yaml",
    "go.sum",
    ".pb.go",
)


def tracked_files(git_dir: Path, commit: str) -> tuple[TreeFile, ...]:
    """The files of a commit that `.graftlineignore` at its root does not name (gitignore syntax), in git's order."""
    files = list_tree(git_dir, commit)
    ignore = next((file for file in files if file.path == IGNORE_FILE and file.size <= _IGNORE_BYTES), None)
    if ignore is None:
        return files
    lines = read_blobs(git_dir, [ignore.blob])[ignore.blob].decode("utf-8", "replace").splitlines()
    try:
        spec = pathspec.GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise RepositoryError(f"{IGNORE_FILE}: not gitignore syntax: {error}") from error
    return tuple(file for file in files if not spec.match_file(file.path))


def skip_reason(file: TreeFile) -> str:
    """Why a file is named and not read, going by its path and size; empty when it is read."""
    *folders, name = file.path.lower().split("/")
    if file.size < 0:
        return "missing"
    if not _VENDORED.isdisjoint(folders):
        return "vendored"
    if name.endswith(_GENERATED_NAMES):
        return "generated"
    return "large" if file.size > MAX_BYTES else ""
