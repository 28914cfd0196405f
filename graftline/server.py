"""The Prefect server a run talks to: the configured one, or a local one that is joined or started.

The local server belongs to a state directory. Every client holds a shared lock while it uses the server; who leaves
lets go of it and tries for it exclusively, and who gets it is the last one and stops the server. A killed client lets
go of its lock by dying. Nothing here imports Prefect, which reads its settings once, on import: a caller sets
`client_environment` first.
"""

import asyncio
import os
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import anyio

from graftline.errors import CannotRunError, ServerUnavailableError, SettingsError
from graftline.file_lock import FileLock
from graftline.process import is_alive
from graftline.server_database import keep_database, provide_database
from graftline.server_folder import HOST, Address, ServerFolder
from graftline.server_process import ServerArgv, answers, end_server, prefect_server_argv, start_server
from graftline.server_rows import wait_for_rows

WATCH_SECONDS = 1.0
POLL_SECONDS = 0.05
# A git that is being started has our lock, too, between fork and exec: without a second look we took it for a client.
FORK_SECONDS = 0.5
# A server that dies again within the minute, and again, will not stay up, whatever is tried.
MOST_RESTARTS = 3
STEADY_SECONDS = 60.0


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

    A server that dies meanwhile is started again at the same address. With `keep` the server stays when this client
    leaves last, until a later client without it does. `say` gets a line for whatever is worth waiting for. `argv` is
    the command that serves on a port. Raises ServerUnavailableError.
    """
    folder = ServerFolder.of(state_dir)
    folder.create()
    client = FileLock(folder.clients_lock)
    await client.acquire(
        shared=True, on_wait=lambda: say("waiting for the last run's local Prefect server to finish and stop")
    )
    try:
        address = await _join_or_start(folder, say=say, argv=argv)
        watcher = asyncio.create_task(_watch(folder, address, say=say, argv=argv))
        try:
            yield Server(api_url=address.api_url, ui_url=address.ui_url, local=True, home=folder.home)
        finally:
            watcher.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait({watcher})
    finally:
        client.release()
        if not keep:
            with anyio.CancelScope(shield=True):
                await stop_server(state_dir)


async def _watch(folder: ServerFolder, address: Address, *, say: Callable[[str], None], argv: ServerArgv) -> None:
    """Start the server again whenever it dies; say so, and stop watching, when that does not help.

    Prefect's clients ask again for about a minute, so a run goes on as if nothing had happened.
    """
    restarts = 0
    while True:
        begun = monotonic()
        while is_alive(address.process):  # noqa: ASYNC110 - only a parent is told of a process's end
            await anyio.sleep(WATCH_SECONDS)
        restarts = 1 if monotonic() - begun > STEADY_SECONDS else restarts + 1
        if restarts > MOST_RESTARTS:
            say(f"the local Prefect server died {restarts} times in a row and is not started again; see {folder.log}")
            return
        try:
            address = await _join_or_start(folder, port=address.port, say=say, argv=argv)
        except (CannotRunError, OSError) as error:
            say(str(error))
            return


async def _join_or_start(
    folder: ServerFolder, *, port: int | None = None, say: Callable[[str], None], argv: ServerArgv
) -> Address:
    """Find the running server or start one; the caller holds the clients' lock, so that nobody stops it meanwhile.

    With `port` only one there will do: the caller's clients know no other address.
    """
    starting = FileLock(folder.start_lock)
    await starting.acquire(on_wait=lambda: say("waiting for the local Prefect server that another graftline starts"))
    try:
        known = folder.read_address()
        if known is not None and await answers(known, folder):
            if port not in {None, known.port}:
                raise ServerUnavailableError(
                    f"the local Prefect server is at {known.ui_url} now, and not at port {port} any more"
                )
            return known
        new = not folder.database.exists()
        ready = new and await anyio.to_thread.run_sync(provide_database, folder, os.environ)
        if known is not None:
            say("the local Prefect server is gone without having been stopped; starting a new one")
        elif new and not ready:
            say("starting the local Prefect server; the first start makes its database and may take half a minute")
        else:
            say("starting the local Prefect server")
        await end_server(known, folder)
        ports = (port,) if port else (known.port if known else 0, 0, 0)
        address = await start_server(folder, argv=argv, ports=ports, ready=ready, environ=os.environ)
        if new and not ready:
            await anyio.to_thread.run_sync(keep_database, folder, os.environ)
        return address
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
    with anyio.move_on_after(FORK_SECONDS):
        while not alone.try_acquire():  # noqa: ASYNC110 - nothing tells when a lock is free
            await anyio.sleep(POLL_SECONDS)
    if not alone.is_held:
        return False
    try:
        address = folder.read_address()
        try:
            if address is not None and is_alive(address.process):
                await wait_for_rows(address)
        finally:  # a second Ctrl-C ends the waiting, and must not leave a server that nobody uses
            await end_server(address, folder)
    finally:
        alone.release()
    return True


def read_address(state_dir: Path) -> Address | None:
    """Where the local server of a state directory was last known to be; None when none is running."""
    address = ServerFolder.of(state_dir).read_address()
    return address if address is not None and is_alive(address.process) else None


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
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
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
