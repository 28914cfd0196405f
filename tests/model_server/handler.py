"""The HTTP side: reads requests and plays the engine's decisions on the wire, faults included."""

import json
import re
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from pydantic import JsonValue, ValidationError

from tests.model_server.conversation import ModelRequest
from tests.model_server.engine import Decision, Engine
from tests.model_server.gate import Gate, Gates, Wait
from tests.model_server.log import Ending, RequestLog, RequestRecord
from tests.model_server.protocols import protocol_at
from tests.model_server.protocols.wire import Failure, WireProtocol
from tests.model_server.scenario import FailureKind, Script, TokenUsage, Turn
from tests.model_server.tools import NoSuchToolError

_NAMESPACE = re.compile(r"/ns/([^/]+)(/.*)")
_BYTES_PER_TOKEN = 4


class ServerClosedError(Exception):
    """The server closes while a request waits."""


class HttpServer(ThreadingHTTPServer):
    """One thread per connection, all of them ended and joined when the server closes."""

    daemon_threads = False
    request_queue_size = 256

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), RequestHandler)
        self.engine = Engine(Script())
        self.log = RequestLog()
        self.gates = Gates()
        self.defects: list[BaseException] = []
        self._connections: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection and remember it."""
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection and forget it."""
        assert isinstance(request, socket.socket)
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the signature is given
        """Keep what a handler did not expect, for `ModelServer.close` to raise."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.defects.append(error)

    def close(self) -> None:
        """Stop accepting, end every wait and idle connection, and join all threads."""
        self.shutdown()
        self.gates.open_all()
        for connection in tuple(self._connections):
            # Clients keep idle connections open, and their threads would read on for ever. One that ends by itself
            # just now is no error.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        self.server_close()
        self.gates.dispose()


class RequestHandler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each small event waits for the acknowledgement of the one before
    server: HttpServer
    connection: socket.socket

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is given
        """Stay silent: the request log has it all."""

    def do_POST(self) -> None:
        """Answer a model request, or 404."""
        namespace, path = self._address()
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if path.endswith(("/count_tokens", ":countTokens")):
            count = len(body) // _BYTES_PER_TOKEN
            self._send_json(200, {"input_tokens": count, "totalTokens": count})
            return
        protocol = protocol_at(path)
        if protocol is None:
            self._send_json(404, {"error": {"type": "not_found_error", "message": f"nothing is served at {path}"}})
            return
        try:
            request = protocol.read_request(path, body)
        except ValidationError as error:
            status, refusal = protocol.failure_reply(Failure(FailureKind.BAD_REQUEST, message=str(error)))
            self._send_json(status, refusal)
            return
        self._answer(protocol, request, namespace)

    def _answer(self, protocol: WireProtocol, request: ModelRequest, namespace: str) -> None:
        log, api_key = self.server.log, self._api_key()
        try:
            decision = self.server.engine.decide(request, namespace)
        except NoSuchToolError as error:
            number = log.add(RequestRecord(protocol.NAME, namespace, api_key, request))
            self._refuse(protocol, Failure(FailureKind.BAD_REQUEST, message=f"scripted model: {error}"), number)
            return
        number = log.add(
            RequestRecord(protocol.NAME, namespace, api_key, request, decision.scenario, decision.turn_number)
        )
        try:
            self._play(protocol, decision, number, stream=request.stream)
        except ConnectionError:
            self.close_connection = True
            log.update(number, Ending.CLIENT_GONE)
        except ServerClosedError:
            self.close_connection = True
            log.update(number, Ending.SERVER_CLOSED)

    def _play(self, protocol: WireProtocol, decision: Decision, number: int, *, stream: bool) -> None:
        turn = decision.turn
        if turn.hold:
            self._wait(self.server.gates.named(turn.hold))
        if turn.delay_seconds:
            self._wait(self.server.gates.closing, turn.delay_seconds)
        if decision.faulty and turn.error:
            self._refuse(protocol, Failure(turn.error, turn.retry_after_seconds, turn.error_message), number)
        elif stream:
            self._stream(protocol, decision, number)
        elif decision.faulty:
            self._break_plain_answer(protocol, turn, number)
        else:
            self._finish(number, Ending.ANSWERED, decision.reply.usage)
            self._send_json(200, protocol.whole_reply(decision.reply))

    def _stream(self, protocol: WireProtocol, decision: Decision, number: int) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-cache")
        self.send_header("connection", "close")  # the end of the answer is the end of the connection
        self.end_headers()
        first, *middle, last = protocol.reply_events(decision.reply)
        self._send_text(first)
        if decision.faulty:
            self._break_stream(protocol, decision.turn, number)
            return
        self._send_text("".join(middle))
        self._finish(number, Ending.ANSWERED, decision.reply.usage)
        self._send_text(last)

    def _break_stream(self, protocol: WireProtocol, turn: Turn, number: int) -> None:
        if turn.stream_error:
            self._finish(number, Ending.STREAM_FAILED)
            self._send_text(protocol.failure_event(Failure(turn.stream_error)))
        elif turn.hang:
            self._hang(number)
        else:
            self._finish(number, Ending.DROPPED)

    def _break_plain_answer(self, protocol: WireProtocol, turn: Turn, number: int) -> None:
        if turn.stream_error:
            self._refuse(protocol, Failure(turn.stream_error), number)
        elif turn.hang:
            self._hang(number)
        else:
            self._finish(number, Ending.DROPPED)
            self.close_connection = True

    def _hang(self, number: int) -> None:
        self._finish(number, Ending.HANGING)
        self._wait(self.server.gates.closing)

    def _wait(self, gate: Gate, seconds: float | None = None) -> None:
        over = gate.wait(self.connection, seconds)
        if over is Wait.CLIENT_GONE:
            raise ConnectionAbortedError("the client hung up while it waited")
        if self.server.gates.are_closing:
            raise ServerClosedError

    def _refuse(self, protocol: WireProtocol, failure: Failure, number: int) -> None:
        status, body = protocol.failure_reply(failure)
        self.server.log.update(number, Ending.FAILED, failure_status=status)
        wait = failure.retry_after_seconds
        self._send_json(status, body, {} if wait is None else {"retry-after": str(wait)})

    def _finish(self, number: int, ending: Ending, usage: TokenUsage | None = None) -> None:
        """Note the ending before the last byte goes out: a test may look as soon as its client has that byte."""
        self.server.log.update(number, ending, usage=usage)

    def _address(self) -> tuple[str, str]:
        """Namespace (empty without one) and path of the request."""
        path = urlsplit(self.path).path
        found = _NAMESPACE.fullmatch(path)
        return (unquote(found[1]), found[2]) if found else ("", path)

    def _api_key(self) -> str:
        bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        return self.headers.get("x-api-key") or self.headers.get("x-goog-api-key") or bearer

    def _send_json(self, status: int, body: Mapping[str, JsonValue], headers: Mapping[str, str] | None = None) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def _send_text(self, text: str) -> None:
        self.wfile.write(text.encode())
        self.wfile.flush()
