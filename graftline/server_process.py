"""One Prefect server process: how it is started, recognised, asked and ended.

It is the one child that `graftline.process` does not start: it outlives whoever starts it, nobody awaits it, and
later clients that are not its parent end it. So its address file carries what identifies it: pid and start time, and
the home it serves, which it tells itself.
"""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import anyio
from pydantic import JsonValue

from graftline.errors import ServerUnavailableError
from graftline.process import end_family, end_group, identify, is_alive
from graftline.server_folder import HOST, Address, ServerFolder

START_SECONDS = 120.0  # a first start migrates a new database: 9 s on a quiet machine, 44 s seen on a busy one
GRACE_SECONDS = 10.0
POLL_SECONDS = 0.1
REQUEST_SECONDS = 2.0
RESPONSE_BYTES = 1_000_000
TAIL_BYTES = 2_000

ServerArgv = Callable[[int], Sequence[str]]

# What the server takes from the environment of whoever starts it: how to find its parts and its way to the network.
# Not the rest, which would make a shared server depend on who came first, and hand it the keys of agents.
PASSED_VARIABLES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    }
)


def prefect_server_argv(port: int) -> Sequence[str]:
    """The command that starts Prefect's server in the foreground."""
    return [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]


def request_json(address: Address, method: str, path: str, body: JsonValue = None) -> JsonValue:
    """Ask the server; raises OSError, HTTPException or ValueError when no sensible answer comes.

    Plain http.client: no proxy settings come between us and the loopback, and Prefect need not be imported.
    """
    connection = http.client.HTTPConnection(HOST, address.port, timeout=REQUEST_SECONDS)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, f"/api{path}", body=payload, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read(RESPONSE_BYTES)
        if response.status != http.HTTPStatus.OK:
            raise ValueError(f"{method} {path} answered {response.status}")
        answer: JsonValue = json.loads(content)
        return answer
    finally:
        connection.close()


def _serves(address: Address, home: Path) -> bool:
    """Whether a server answers at the address and says that it serves this home: anybody may listen on a port."""
    try:
        settings = request_json(address, "GET", "/admin/settings")
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return isinstance(settings, dict) and settings.get("home") == str(home)


async def answers(address: Address, folder: ServerFolder) -> bool:
    """Wait until the recorded process answers for this home; False when it ends first or takes too long."""
    with anyio.move_on_after(START_SECONDS):
        while is_alive(address.process):
            if await anyio.to_thread.run_sync(_serves, address, folder.home, abandon_on_cancel=True):
                return True
            await anyio.sleep(POLL_SECONDS)
    return False


async def start_server(
    folder: ServerFolder,
    *,
    argv: ServerArgv,
    ports: Iterable[int],
    ready: bool = False,
    environ: Mapping[str, str],
) -> Address:
    """Start a server on the first of the ports that is free, 0 for any, and wait until it answers.

    With `ready` its database is a copy of one that this version has made, and is served as it is. The address file is
    written as soon as the process exists: whoever comes after a kill then finds it.
    """
    problem = ""
    for wanted in ports:
        port = _free_port(wanted)
        if port is None:
            problem = f"its port {wanted} is taken by another program"
            continue
        variables = server_environment(folder, port=port, ready=ready, environ=environ)
        address = _launch(folder, argv(port), port=port, variables=variables)
        if await answers(address, folder):
            return address
        await end_server(address, folder)
        tail = folder.log.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
        problem = (
            f"it was not there within {START_SECONDS:.0f} s or ended at once. Its log {folder.log} ends with:\n{tail}"
        )
        if "already in use" not in tail:  # the port was free when we looked, and may be taken before the server looks
            break
    raise ServerUnavailableError(
        f"the local Prefect server did not start: {problem}\nSet PREFECT_API_URL to use a server of your own instead."
    )


def _launch(folder: ServerFolder, argv: Sequence[str], *, port: int, variables: Mapping[str, str]) -> Address:
    with contextlib.suppress(FileNotFoundError):
        folder.log.replace(folder.log.with_suffix(".log.1"))
    folder.log.touch(mode=0o600)
    with folder.log.open("ab") as log:
        process = subprocess.Popen(
            argv,
            cwd=folder.home,  # Prefect reads .env, prefect.toml and pyproject.toml of its working directory
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
        )
    # Only a parent can reap: without this, a server that ends before we do stays a zombie.
    threading.Thread(target=process.wait, name="graftline-server-reaper", daemon=True).start()
    address = Address(pid=process.pid, started=identify(process.pid).started, port=port)
    folder.write_address(address)
    return address


def _free_port(wanted: int) -> int | None:
    """The port when it is free, any free one for 0; None when somebody has it."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, wanted))
        return int(probe.getsockname()[1])
    return None


def server_environment(
    folder: ServerFolder, *, port: int, ready: bool = False, environ: Mapping[str, str]
) -> dict[str, str]:
    """The server's whole environment: nothing of the user's own Prefect configuration reaches it."""
    ui_url = f"http://{HOST}:{port}"
    variables = {name: value for name, value in environ.items() if name in PASSED_VARIABLES or name.startswith("LC_")}
    mark, _, marked = folder.mark.partition("=")
    if ready:
        # This very version has migrated it and put its types of blocks into it: looking again takes a second or two.
        variables["PREFECT_API_DATABASE_MIGRATE_ON_START"] = "false"
        variables["PREFECT_API_BLOCKS_REGISTER_ON_START"] = "false"
    return variables | {
        mark: marked,
        "PREFECT_HOME": str(folder.home),
        "PREFECT_PROFILES_PATH": str(folder.home / "profiles.toml"),
        # Without it the pages look for the API on port 4200 and stay blank.
        "PREFECT_UI_API_URL": f"{ui_url}/api",
        # Prefect lets every web page that a person visits read the API; only its own pages need to.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{ui_url},http://localhost:{port}",
        # Leases kept in memory are lost with the server, and their slots stay taken for good.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # Written one by one, task runs keep the one writer that SQLite allows busy: whoever else writes then gets 503,
        # and Prefect's client comes back after 2 seconds (measured: 2 to 5 s of a 7 s run).
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "500",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


async def end_server(address: Address | None, folder: ServerFolder) -> None:
    """End the recorded process and its group, gently first, and remove the address file.

    Does not touch a process that merely has the recorded pid. A server that nobody recorded, because its starter was
    killed in between, is found by its mark.
    """
    if address is not None:
        await end_group(address.process, GRACE_SECONDS)
    await end_family(folder.mark, GRACE_SECONDS)
    folder.address_file.unlink(missing_ok=True)
