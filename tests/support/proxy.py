"""A TCP proxy in front of a real server that a test can cut, hang and mend: a network that fails on demand."""

import contextlib
import socket
import threading
from enum import StrEnum


class Line(StrEnum):
    """What becomes of connections: carried through, refused, or taken and never answered."""

    UP = "up"
    CUT = "cut"
    HUNG = "hung"


class Proxy:
    """Listens on a port of its own; `host` and `port` are the server behind it."""

    def __init__(self, host: str, port: int) -> None:
        self._behind = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._state = Line.UP
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, args=(self._listener,), daemon=True)]
        self._threads[0].start()

    def set(self, state: Line) -> None:
        """From now on; whoever is connected when the line is cut loses the connection, when it hangs, the answers."""
        with self._lock:
            was, self._state = self._state, state
        if state is Line.CUT:
            self._close()
        elif was is Line.CUT:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._start(self._accept, self._listener)
        elif was is Line.HUNG:
            self._drop_connections()  # what was swallowed never comes back

    def close(self) -> None:
        """End every connection and thread."""
        self._state = Line.CUT
        self._close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_connections()

    def _drop_connections(self) -> None:
        with self._lock:
            dropped, self._sockets = self._sockets, set()
        for connection in dropped:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._behind)
            with self._lock:
                self._sockets |= {client, server}
            self._start(self._carry, client, server)
            self._start(self._carry, server, client)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._state is not Line.HUNG:
                    target.sendall(data)
        for connection in (source, target):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            with self._lock:
                self._sockets.discard(connection)
