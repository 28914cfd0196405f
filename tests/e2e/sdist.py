"""A real project's repository: Pygments, from the source distribution that repositories.txt pins."""

import re
import tarfile
from pathlib import Path

from tests.e2e.clis import FOLDER

PINS = FOLDER / "repositories.txt"
FETCHED = FOLDER / "repositories"


class SdistMissingError(Exception):
    """A source distribution that the tests work on was not fetched, or in another version."""


def find_sdist(project: str) -> Path:
    """The archive of the project, in the version that is pinned; raises `SdistMissingError`."""
    [version] = re.findall(rf"^{project}==(\S+)$", PINS.read_text(), re.MULTILINE)
    archive = FETCHED / f"{project}-{version}.tar.gz"
    if not archive.is_file():
        raise SdistMissingError(f"the tests are for {project} {version}, and there is no {archive.name}")
    return archive


def unpack(archive: Path, folder: Path) -> Path:
    """The project's own folder, within a folder for it."""
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    [project] = folder.iterdir()
    return project
