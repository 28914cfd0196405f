"""Agents that are kept as blocks on the Prefect server, for commands that check a run before they start it."""

import os
from collections.abc import Mapping

from graftline.agents.profiles import AnyProfile
from graftline.errors import ServerUnavailableError
from graftline.server import client_environment, configured_server


async def blocks_of_server(names: frozenset[str]) -> Mapping[str, AnyProfile]:
    """The blocks of these names on the server that is configured; graftline's own starts after the check, if ever.

    Raises:
        ServerUnavailableError: the server does not answer.
    """
    server = configured_server(os.environ)
    if not names or server is None:
        return {}
    os.environ.update(client_environment(server))
    from graftline.tasks.prepare import load_blocks  # noqa: PLC0415  imports Prefect, which reads the environment then
    from graftline.tasks.watch import SERVER_ERRORS  # noqa: PLC0415  imports Prefect

    try:
        return await load_blocks(names)
    except SERVER_ERRORS as error:
        raise ServerUnavailableError(
            f"{', '.join(sorted(names))}: no profile is called so, and no Prefect server answers at {server.api_url} "
            "that may have a block of that name: start it, or correct PREFECT_API_URL or the name"
        ) from error
