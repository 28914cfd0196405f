"""The Prefect server a run talks to: the configured one, or a local one that is joined or started.

The local server belongs to a state directory. Every client holds a shared lock while it uses the server; who leaves
lets go of it and tries for it exclusively, and who gets it is the last one and stops the server. A killed client lets
go of its lock by dying. Nothing here imports Prefect, which reads its settings once, on import: a caller sets
`client_environment` first.
"""

import http.client
import os
import sqlite3
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from pydantic import JsonValue

from graftline.errors import SettingsError
from graftline.file_lock import FileLock
from graftline.server_folder import HOST, Address, ServerFolder
from graftline.server_process import (
    ServerArgv,
    answers,
    end_server,
    is_running,
    prefect_server_argv,
    request_json,
    start_server,
)

CATCH_UP_SECONDS = 10.0
CATCH_UP_POLL_SECONDS = 0.5
STANDSTILL_POLLS = 6
RECENT = timedelta(minutes=10)
UNFINISHED = ("Scheduled", "Pending", "Running", "Retrying", "AwaitingRetry")


@dataclass(frozen=True)
class Server:
    """A Prefect server; `home` is the PREFECT_HOME that goes with a local one."""

    api_url: str
    ui_url: str
    local: bool
    home: Path | None = None


@asynccontextmanager
async def local_server(
    state_dir: Path,
    *,
    keep: bool = False,
    say: Callable[[str], None],
    argv: ServerArgv = prefect_server_argv,
) -> AsyncIterator[Server]:
    """Join the local server of a state directory, or start it; the last one out stops it.

    With `keep` the server stays when this client leaves last, until a later client without it does. `say` gets a line
    for whatever is worth waiting for. `argv` is the command that serves on a port. Raises ServerUnavailableError.
    """
    folder = ServerFolder.of(state_dir)
    folder.create()
    client = FileLock(folder.clients_lock)
    await client.acquire(
        shared=True, on_wait=lambda: say("waiting for the last run's local Prefect server to finish and stop")
    )
    try:
        address = await _join_or_start(folder, say=say, argv=argv)
        yield Server(api_url=address.api_url, ui_url=address.ui_url, local=True, home=folder.home)
    finally:
        client.release()
        if not keep:
            with anyio.CancelScope(shield=True):
                await stop_server(state_dir)


async def _join_or_start(folder: ServerFolder, *, say: Callable[[str], None], argv: ServerArgv) -> Address:
    """Find the running server or start one; the caller holds the clients' lock, so that nobody stops it meanwhile."""
    starting = FileLock(folder.start_lock)
    await starting.acquire(on_wait=lambda: say("waiting for the local Prefect server that another graftline starts"))
    try:
        known = folder.read_address()
        if known is not None:
            if await answers(known, folder):
                return known
            say("the local Prefect server is gone without having been stopped; starting a new one")
            await end_server(known, folder)
        else:
            first = (
                "" if folder.database.exists() else "; the first start makes its database and may take half a minute"
            )
            say(f"starting the local Prefect server{first}")
        return await start_server(folder, argv=argv, port=known.port if known else None, environ=os.environ)
    finally:
        starting.release()


async def stop_server(state_dir: Path) -> bool:
    """Stop the local server of a state directory unless a client uses it; True when none runs any more.

    Waits, within bounds, until the server has recorded what the last runs reported.
    """
    folder = ServerFolder.of(state_dir)
    if not folder.path.exists():
        return True
    alone = FileLock(folder.clients_lock)
    if not alone.try_acquire():
        return False
    try:
        address = folder.read_address()
        if address is not None:
            try:
                if is_running(address):
                    await _wait_for_rows(address)
            finally:  # a second Ctrl-C ends the waiting, and must not leave a server that nobody uses
                await end_server(address, folder)
    finally:
        alone.release()
    return True


def read_address(state_dir: Path) -> Address | None:
    """Where the local server of a state directory was last known to be; None when none is running."""
    address = ServerFolder.of(state_dir).read_address()
    return address if address is not None and is_running(address) else None


async def _wait_for_rows(address: Address) -> None:
    """Wait until the rows of runs that ended lately no longer change.

    The server records task runs from events, after the run has moved on, and forgets what is queued when it stops.
    Rows that nobody will ever finish (a killed run's) do not hold it up: no change for a while is enough.
    """
    ended: JsonValue = {"end_time": {"after_": (datetime.now(UTC) - RECENT).isoformat()}}
    unfinished: JsonValue = {"state": {"name": {"any_": list(UNFINISHED)}}}
    running: JsonValue = {"state": {"name": {"any_": ["Running"]}}}

    def count() -> tuple[JsonValue, ...]:
        if request_json(address, "POST", "/flow_runs/count", {"flow_runs": ended}) == 0:
            return ()
        return tuple(
            request_json(address, "POST", "/task_runs/count", {"flow_runs": ended} | extra)
            for extra in ({}, {"task_runs": unfinished}, {"task_runs": running})
        )

    before: tuple[JsonValue, ...] | None = None
    unchanged = 0
    with anyio.move_on_after(CATCH_UP_SECONDS):
        while True:
            try:
                now = await anyio.to_thread.run_sync(count, abandon_on_cancel=True)
            except (OSError, http.client.HTTPException, ValueError):
                return  # it answers nobody: there is nothing to wait for
            unchanged = unchanged + 1 if now == before else 0
            if not now or (unchanged and now[1] == 0) or unchanged >= STANDSTILL_POLLS:
                return
            before = now
            await anyio.sleep(CATCH_UP_POLL_SECONDS)


def copy_database(source: Path, target: Path) -> None:
    """Give a new state directory the database of another one, so that its first server need not build one.

    Building takes 6 to 35 s, copying none; `source` may be in use. An older Prefect's database is brought up to date by
    the server that opens it.
    """
    template, folder = ServerFolder.of(source), ServerFolder.of(target)
    folder.create()
    folder.database.touch(mode=0o600)
    with closing(sqlite3.connect(template.database)) as old, closing(sqlite3.connect(folder.database)) as new:
        old.backup(new)


def client_environment(server: Server, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables to set before Prefect is imported, in this process and in others that talk to the server.

    A local server's clients see nothing of the user's own Prefect profile. `environ` is what they are added to.
    """
    environ = os.environ if environ is None else environ
    extra_loggers = [name for name in environ.get("PREFECT_LOGGING_EXTRA_LOGGERS", "").split(",") if name]
    variables = {
        "PREFECT_API_URL": server.api_url,
        # Our own lines tell what happens; Prefect's go to its API, and with them those of our loggers.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_EXTRA_LOGGERS": ",".join(dict.fromkeys([*extra_loggers, "graftline"])),
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    if server.home is not None:
        variables |= {
            "PREFECT_HOME": str(server.home),
            "PREFECT_PROFILES_PATH": str(server.home / "profiles.toml"),
            "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        }
        # Prefect's clients would send even loopback requests through a proxy.
        direct = ",".join(filter(None, [environ.get("no_proxy") or environ.get("NO_PROXY"), HOST]))
        variables |= {"no_proxy": direct, "NO_PROXY": direct}
    return variables


def configured_server(environ: Mapping[str, str]) -> Server | None:
    """The server that the environment or the active Prefect profile names; None when neither does."""
    api_url = configured_api_url(environ)
    if api_url is None:
        return None
    ui_url = environ.get("PREFECT_UI_URL") or api_url.rstrip("/").removesuffix("/api")
    return Server(api_url=api_url, ui_url=ui_url, local=False)


def configured_api_url(environ: Mapping[str, str]) -> str | None:
    """`PREFECT_API_URL`, or that of the active Prefect profile, read the way Prefect reads it."""
    if url := environ.get("PREFECT_API_URL", "").strip():
        return url
    home = Path(environ.get("PREFECT_HOME") or Path(environ.get("HOME") or Path.home()) / ".prefect").expanduser()
    path = Path(environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        data = {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}); mend it, or set PREFECT_API_URL") from error
    wanted = environ.get("PREFECT_PROFILE")
    profiles = data.get("profiles", {})
    if wanted and wanted not in {*profiles, "ephemeral"}:
        # Prefect would warn and use no profile, and the run would end up on another server than the one meant.
        raise SettingsError(
            f"PREFECT_PROFILE: {path} has no profile {wanted!r}; it has {', '.join(profiles) or 'none'}"
        )
    url = profiles.get(wanted or data.get("active"), {}).get("PREFECT_API_URL", "")
    return str(url).strip() or None
