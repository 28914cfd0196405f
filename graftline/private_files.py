"""Files and folders of the state directory: for their owner only, written whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graftline.errors import CannotRunError

FOLDER_MODE = 0o700


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn an OSError raised inside into a `CannotRunError` that names `place`: disk full, read-only, not ours."""
    try:
        yield
    except OSError as error:
        raise CannotRunError(
            f"cannot write {place}: {error.strerror or error}. Make room there or make it writable, "
            "or name another place with GRAFTLINE_STATE_DIR."
        ) from error


def make_folder(folder: Path) -> Path:
    """Make a folder, and every missing one above it, for the owner only; an existing one is left as it is."""
    with writing(folder):
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=FOLDER_MODE, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is not a folder")
    return folder


def write_file(path: Path, content: bytes) -> None:
    """Replace a file in one step, 0600, on disk before this returns; its folder is made when missing."""
    make_folder(path.parent)
    with writing(path):
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk: without it a new file can be gone after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
