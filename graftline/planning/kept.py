"""What is kept of planning in a run's folder: one JSON file for each plan that was proposed and each patch."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from graftline.errors import GraftlineError
from graftline.private_files import make_folder, write_file

Kept = TypeVar("Kept", bound=BaseModel)


def read_kept(path: Path, kind: type[Kept]) -> Kept | None:
    """What a file keeps; None when the run has not come so far."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise GraftlineError(f"{path}: cannot be read: {error}") from error


def keep(path: Path, kept: BaseModel) -> None:
    """Write it, whole or not at all, over what the file had before."""
    make_folder(path.parent)
    write_file(path, kept.model_dump_json(indent=2).encode())
