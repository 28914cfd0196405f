"""Files an agent needs that git does not carry: `.worktreeinclude` names them, and each worktree gets a copy."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from graftline.errors import RepositoryError
from graftline.git.command import git
from graftline.git.repository import Repository


def copy_included_files(repository: Repository, include_file: str, worktree: Path) -> tuple[str, ...]:
    """Copy what the include file (gitignore syntax) names into a fresh worktree; the paths that were copied.

    Only files that are ignored in the user's checkout, only regular ones, none reached through a symlink on either
    side, and none over a file of the commit.
    """
    rules = repository.path / include_file
    if not rules.is_file():
        return ()
    try:
        spec = GitIgnoreSpec.from_lines(rules.read_text(encoding="utf-8", errors="surrogateescape").splitlines())
    except ValueError as error:
        raise RepositoryError(f"{rules}: not gitignore syntax: {error}") from error
    ignored = git(
        ["ls-files", "-z", "--others", "--ignored", "--exclude-standard"],
        git_dir=repository.git_dir,
        work_tree=repository.path,
    ).fields
    wanted = sorted(path for path in ignored if spec.match_file(path))
    return tuple(path for path in wanted if _copy(repository.path, worktree, PurePosixPath(path)))


def _copy(source_root: Path, target_root: Path, path: PurePosixPath) -> bool:
    """Copy one file and say whether it was; what vanished or is no regular file any more is passed over."""
    if not _real_folders(source_root, path) or not _real_folders(target_root, path):
        return False
    try:
        source = os.open(source_root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with open(source, "rb") as reader:  # noqa: PTH123 (a descriptor, not a path)
        mode = os.fstat(source).st_mode
        if not stat.S_ISREG(mode):
            return False
        (target_root / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            target = os.open(target_root / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return False
        with open(target, "wb") as writer:  # noqa: PTH123 (a descriptor, not a path)
            shutil.copyfileobj(reader, writer)
            os.fchmod(target, stat.S_IMODE(mode) & 0o777)
    return True


def _real_folders(root: Path, path: PurePosixPath) -> bool:
    """Whether every folder on the way to a file is a folder, or is not there yet."""
    return all(not folder.is_symlink() and (folder.is_dir() or not folder.exists()) for folder in _folders(root, path))


def _folders(root: Path, path: PurePosixPath) -> Iterator[Path]:
    folder = root
    for part in path.parts[:-1]:
        folder = folder / part
        yield folder
