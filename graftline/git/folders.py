"""Folders an agent had its hands on: looked at and opened up without ever following a symlink."""

import os
import stat
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
