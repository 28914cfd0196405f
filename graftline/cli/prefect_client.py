"""A client for commands that say something to a Prefect server that is up; none is started for them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from graftline.errors import ServerUnavailableError
from graftline.server import Server, client_environment, configured_server, read_address
from graftline.server_folder import ServerFolder
from graftline.store import state_place

if TYPE_CHECKING:
    from pathlib import Path

    from prefect.client.orchestration import PrefectClient


@asynccontextmanager
async def prefect_client() -> AsyncIterator["PrefectClient"]:
    """A client of the configured server, or of graftline's own.

    Raises:
        ServerUnavailableError: neither is up.
    """
    server = running_server(state_place(os.environ))
    if server is None:
        raise ServerUnavailableError("no Prefect server is up: name the run's own with PREFECT_API_URL")
    os.environ.update(client_environment(server))
    import httpx  # noqa: PLC0415  comes with Prefect
    from prefect.client.orchestration import get_client  # noqa: PLC0415  now that the server's address is known

    try:
        async with get_client() as client:
            yield client
    except httpx.HTTPError as error:
        raise ServerUnavailableError(f"the Prefect server at {server.api_url} does not answer: {error}") from error


def running_server(state_dir: "Path") -> Server | None:
    """The server to ask without starting one: the configured one, or graftline's own when it is up."""
    configured = configured_server(os.environ)
    address = read_address(state_dir)
    if configured is not None or address is None:
        return configured
    home = ServerFolder.of(state_dir).home
    return Server(api_url=address.api_url, ui_url=address.ui_url, local=True, home=home)
