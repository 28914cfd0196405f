"""Gates that request handlers wait at, never outliving the client they wait for."""

import selectors
import socket
import threading
from enum import Enum, auto


class Wait(Enum):
    """Why a wait is over."""

    OPENED = auto()
    ELAPSED = auto()
    CLIENT_GONE = auto()


class Gate:
    """Closed until opened, once and for all; any number of threads may wait at it.

    A socket pair rather than an event: one call can then wait for the gate and for the client's connection at once.
    """

    def __init__(self) -> None:
        self._waiting_end, self._opening_end = socket.socketpair()

    def open(self) -> None:
        """Let everybody through, now and later."""
        self._opening_end.close()

    def dispose(self) -> None:
        """Free the gate's descriptors; nobody may be waiting any more."""
        self._opening_end.close()
        self._waiting_end.close()

    def wait(self, client: socket.socket, seconds: float | None = None) -> Wait:
        """Wait until the gate opens, the time is up or the client hangs up."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._waiting_end, selectors.EVENT_READ)
            selector.register(client, selectors.EVENT_READ)
            ready = {key.fileobj for key, _ in selector.select(seconds)}
        if not ready:
            return Wait.ELAPSED
        # A client sends nothing while it waits for an answer: whatever arrives is the end of the connection.
        return Wait.OPENED if self._waiting_end in ready else Wait.CLIENT_GONE


class Gates:
    """The gates of one server by name, made when first asked for, and the one that opens when the server closes."""

    def __init__(self) -> None:
        self.closing = Gate()
        self._named: dict[str, Gate] = {}
        self._lock = threading.Lock()
        self.are_closing = False

    def named(self, name: str) -> Gate:
        """The gate of that name."""
        with self._lock:
            if name not in self._named:
                self._named[name] = Gate()
            if self.are_closing:
                self._named[name].open()
            return self._named[name]

    def open_all(self) -> None:
        """End every wait, present and future: the server closes."""
        with self._lock:
            self.are_closing = True
            for gate in (self.closing, *self._named.values()):
                gate.open()

    def dispose(self) -> None:
        """Free all descriptors; nobody may be waiting any more."""
        for gate in (self.closing, *self._named.values()):
            gate.dispose()
