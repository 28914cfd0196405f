"""A Prefect server's REST API, as systems use it that know nothing of Prefect's client."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from pydantic import JsonValue

SECONDS = 100
"""How long the server may take before a test gives up: far longer than it does."""
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
"""The types of states that a run ends in."""

Row = dict[str, JsonValue]


@dataclass(frozen=True)
class Api:
    """The API at the address its client was opened with."""

    rest: httpx.Client

    def get(self, path: str) -> Row:
        """One object."""
        row: Row = self._ask("GET", path).json()
        return row

    def post(self, path: str, body: JsonValue = None) -> None:
        """Send an object."""
        self._ask("POST", path, body)

    def rows(self, kind: str, wanted: Row) -> list[Row]:
        """The rows of a kind that a filter leaves."""
        rows: list[Row] = self._ask("POST", f"{kind}/filter", wanted).json()
        return rows

    def rows_once(self, is_there: Callable[[list[Row]], bool], kind: str, wanted: Row) -> list[Row]:
        """The same, once what a test waits for is there: the API has no way to wait, and records some rows late."""
        deadline = time.monotonic() + SECONDS
        while not is_there(rows := self.rows(kind, wanted)):
            assert time.monotonic() < deadline, rows
            time.sleep(0.2)
        return rows

    def _ask(self, method: str, path: str, body: JsonValue = None) -> httpx.Response:
        # A server on SQLite answers 503 while another one writes; whoever sends has to come again.
        deadline = time.monotonic() + SECONDS
        while (answer := self.rest.request(method, path, json=body)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)
        assert answer.is_success, answer.text
        return answer


@contextmanager
def api_at(url: str) -> Iterator[Api]:
    """The API at an address, for as long as the block lasts."""
    with httpx.Client(base_url=url, timeout=SECONDS) as rest:
        yield Api(rest)
