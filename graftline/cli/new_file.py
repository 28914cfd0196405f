"""A file that a command was asked to write and that is not there yet: nothing of a person's is ever overwritten."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graftline.errors import UserError


@dataclass(frozen=True)
class NewFile:
    """Where to write; looked at beforehand, so that nothing is spent on what cannot be kept."""

    path: Path

    @classmethod
    def named(cls, option: str, path: Path, suffixes: Sequence[str]) -> "NewFile":
        """The file that an option names.

        Raises:
            UserError: its name ends otherwise, it exists, or there is no folder to put it into.
        """
        if path.suffix.lower() not in suffixes:
            raise UserError(f"{option} {path}: the name must end in {', '.join(suffixes)}")
        if path.exists():
            raise UserError(f"{path} exists: name another file, or remove it")
        if not path.parent.is_dir():
            raise UserError(f"{path} cannot be written: there is no folder {path.parent}")
        return cls(path)

    def write(self, text: str) -> None:
        """Write it.

        Raises:
            UserError: it was made meanwhile, or cannot be written.
        """
        try:
            with self.path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except FileExistsError as error:
            raise UserError(f"{self.path} exists: name another file, or remove it") from error
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from error
