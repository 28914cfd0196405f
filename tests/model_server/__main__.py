"""Serve a scenario file until interrupted: `python -m tests.model_server scenario.yaml`, from the repository's root."""

import argparse
import signal
from pathlib import Path

from tests.model_server.server import ModelServer


def main() -> None:
    """Print the base URL, then serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.model_server", description=__doc__)
    parser.add_argument("scenario", type=Path, help="the scenario file (YAML or JSON)")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on; a free one when left out")
    arguments = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    with ModelServer(arguments.port) as server:
        server.scenario(arguments.scenario.read_text(encoding="utf-8"))
        print(server.url, flush=True)  # noqa: T201 - the address is this command's output
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
