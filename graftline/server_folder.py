"""The folder of the local Prefect server in a state directory, and the files by which clients find it."""

import importlib.metadata
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graftline.errors import ServerUnavailableError
from graftline.private_files import make_folder, write_file
from graftline.process import ProcessIdentity

HOST = "127.0.0.1"


class Address(BaseModel):
    """Where the server is and which process it is, as its file on disk says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int = Field(gt=1)
    started: str
    port: int = Field(gt=0, lt=65536)

    @property
    def process(self) -> ProcessIdentity:
        """The server's process, which leads a group of its own."""
        return ProcessIdentity(self.pid, self.started)

    @property
    def ui_url(self) -> str:
        """What a browser opens."""
        return f"http://{HOST}:{self.port}"

    @property
    def api_url(self) -> str:
        """What Prefect's clients talk to."""
        return f"{self.ui_url}/api"


@dataclass(frozen=True)
class ServerFolder:
    """The folder of one Prefect minor version's server in a state directory, and the files in it."""

    path: Path

    @classmethod
    def of(cls, state_dir: Path) -> "ServerFolder":
        """The folder for the Prefect that is installed; nothing is created."""
        major, minor, *_ = prefect_version().split(".")
        return cls(state_dir.resolve() / "server" / f"{major}.{minor}")

    @property
    def home(self) -> Path:
        """PREFECT_HOME of the server and of its clients."""
        return self.path / "home"

    @property
    def database(self) -> Path:
        """Prefect's SQLite file."""
        return self.home / "prefect.db"

    @property
    def address_file(self) -> Path:
        """Holds the `Address`; written once a process exists, before it answers."""
        return self.path / "address.json"

    @property
    def clients_lock(self) -> Path:
        """Held shared by every client, exclusively by who stops the server."""
        return self.path / "clients.lock"

    @property
    def start_lock(self) -> Path:
        """Held exclusively by who looks for the server or starts it."""
        return self.path / "start.lock"

    @property
    def log(self) -> Path:
        """Output of the server; that of the one before is kept beside it."""
        return self.path / "server.log"

    @property
    def mark(self) -> str:
        """The entry in the environment that the server, and whatever it starts, carries; nothing else does."""
        return f"GRAFTLINE_LOCAL_SERVER={self.path}"

    def create(self) -> None:
        """Make the folders, private to the user."""
        make_folder(self.home)

    def read_address(self) -> Address | None:
        """What the address file says; None when there is none, or none that can be understood."""
        try:
            return Address.model_validate_json(self.address_file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write_address(self, address: Address) -> None:
        """Replace the address file in one step, so that nobody reads half of it."""
        write_file(self.address_file, address.model_dump_json().encode())


def prefect_version() -> str:
    """The exact version of the Prefect that is installed."""
    try:
        return importlib.metadata.version("prefect")
    except importlib.metadata.PackageNotFoundError as error:
        raise ServerUnavailableError(
            f"Prefect is not installed for {sys.executable}; install graftline's dependencies there"
        ) from error
