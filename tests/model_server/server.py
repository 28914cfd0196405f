"""The server as tests use it."""

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote

from tests.model_server.engine import Engine
from tests.model_server.handler import HttpServer
from tests.model_server.log import RequestRecord
from tests.model_server.scenario import Script, load_script


class ModelServer:
    """A model on the loopback interface, from construction until `close`; it says "ok" until it has a scenario.

    `close` (or leaving the context) ends every connection and thread, and raises what went wrong inside the server.
    """

    def __init__(self, port: int = 0) -> None:
        self._http = HttpServer(port)
        # The default poll interval of half a second would be most of what a test takes.
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The base URL for a CLI's configuration."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def url_for(self, namespace: str) -> str:
        """A base URL of an agent's own, so that its requests can be told apart and its faults are counted apart."""
        return f"{self.url}/ns/{quote(namespace, safe='')}"

    def scenario(self, script: Script | Mapping[str, object] | str) -> None:
        """Set what the model plays from now on, as YAML text or its parsed form; faults are counted from zero again."""
        self._http.engine = Engine(script if isinstance(script, Script) else load_script(script))

    def requests(self) -> tuple[RequestRecord, ...]:
        """Every request for the model's words so far, in order of arrival."""
        return self._http.log.records()

    def wait_for(self, condition: Callable[[RequestRecord], bool], *, timeout_seconds: float = 60) -> RequestRecord:
        """The first request that meets the condition, as soon as there is one; raises `TimeoutError`."""
        return self._http.log.wait_for(condition, timeout_seconds=timeout_seconds)

    def open_gate(self, name: str) -> None:
        """Let the turns with `hold: name` go on, now and later."""
        self._http.gates.named(name).open()

    def close(self) -> None:
        """Stop serving."""
        self._http.close()
        self._thread.join()
        if self._http.defects:
            raise BaseExceptionGroup("the model server has a defect", self._http.defects)
