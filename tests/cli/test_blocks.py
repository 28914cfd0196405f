"""Blocks as agents of a run that is checked from the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from graftline.cli.blocks import blocks_of_server

ASK = """
import asyncio
from graftline.cli.blocks import blocks_of_server
asyncio.run(blocks_of_server(frozenset({"reviewer"})))
"""


async def test_without_a_configured_server_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert await blocks_of_server(frozenset({"reviewer"})) == {}


def test_a_server_that_does_not_answer_is_named_with_what_was_looked_for(
    isolated_environment: Path, unused_tcp_port: int
) -> None:
    # A process of its own: Prefect reads the address when it is imported.
    url = f"http://127.0.0.1:{unused_tcp_port}/api"
    environment = {"PREFECT_API_URL": url, "HOME": str(isolated_environment), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False)
    sentence = f"ServerUnavailableError: reviewer: no profile is called so, and no Prefect server answers at {url}"
    assert sentence in done.stderr
