"""Folders an agent had its hands on: looked at, opened up and removed without ever following a symlink."""

import os
import shutil
import stat
import uuid
from pathlib import Path


def is_real_folder(path: Path) -> bool:
    """Whether a path is a folder itself, not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def make_accessible(root: Path) -> None:
    """Give ourselves access to every folder and file below a folder; nothing else of their modes changes."""
    for folder, folders, files in os.walk(root):
        for place in (Path(folder), *(Path(folder, name) for name in folders)):  # before the walk enters them
            if not place.is_symlink():
                place.chmod(stat.S_IMODE(place.stat().st_mode) | stat.S_IRWXU)
        for file in (Path(folder, name) for name in files):
            mode = file.lstat().st_mode
            if stat.S_ISREG(mode) and not mode & stat.S_IRUSR:
                file.chmod(stat.S_IMODE(mode) | stat.S_IRUSR)


def remove(path: Path) -> None:
    """Delete what is at a path, whatever its modes and depth; of a link only the link, and nothing there is fine."""
    if not is_real_folder(path):
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        _remove_level_by_level(path)


def _remove_level_by_level(root: Path) -> None:
    """Delete a folder that is closed, or deeper than a path or a recursion can be: what lies deeper is moved up."""
    top = _open_folder(str(root))
    try:
        while names := _names(top):
            for name in names:
                if not _unlink(name, top):
                    _empty_into(top, name)
    finally:
        os.close(top)
    root.rmdir()


def _empty_into(top: int, name: str) -> None:
    """Delete a folder in the open folder `top`, after the folders in it were moved up beside it."""
    folder = _open_folder(name, top)
    try:
        for inner in _names(folder):
            if not _unlink(inner, folder):
                os.chmod(inner, stat.S_IRWXU, dir_fd=folder)  # to be moved it must be writable, for its own `..`
                os.rename(inner, uuid.uuid4().hex, src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _unlink(name: str, parent: int) -> bool:
    """Delete a file or link in an open folder; False when it is a folder."""
    if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        return False
    os.unlink(name, dir_fd=parent)
    return True


def _open_folder(name: str, parent: int | None = None) -> int:
    os.chmod(name, stat.S_IRWXU, dir_fd=parent)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def disk_bytes(path: Path) -> int:
    """The space on disk that deleting a path gives back; what cannot be looked into is not counted."""
    total = 0
    waiting = [str(path)]
    while waiting:
        place = waiting.pop()
        try:
            about = os.lstat(place)
            if stat.S_ISDIR(about.st_mode):
                with os.scandir(place) as entries:
                    waiting += [entry.path for entry in entries]
        except OSError:  # closed, deeper than a path can be, or gone meanwhile
            continue
        # A file with another name elsewhere, such as a pack of the repository's, stays where it is.
        if stat.S_ISDIR(about.st_mode) or about.st_nlink == 1:
            total += about.st_blocks * 512
    return total
