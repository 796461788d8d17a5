"""A TCP proxy in front of a real server that can be cut, hung, slowed and mended: a network that fails on demand."""

import contextlib
import socket
import struct
import threading
import time
from enum import StrEnum

READ_BYTES = 65536
SLOW_SECONDS = 0.3  # by which a slow line holds up each piece of data
# Linger switched on, for no time: closing sends a reset instead of an orderly end.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Line(StrEnum):
    """What becomes of connections: carried, refused, taken and never answered, held up, or cut within an answer."""

    UP = "up"
    CUT = "cut"
    HUNG = "hung"
    SLOW = "slow"
    TORN = "torn"


class Proxy:
    """Listens on a port of its own; `host` and `port` are the server behind it, which may come and go."""

    def __init__(self, host: str, port: int) -> None:
        self._behind = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._state = Line.UP
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._acceptor = self._started(self._accept, self._listener)

    def set(self, state: Line) -> None:
        """From now on; a client connected when the line is cut loses the connection, when it hangs, the answers."""
        with self._lock:
            was, self._state = self._state, state
        if state is Line.CUT:
            self._close()
        elif was is Line.CUT:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._acceptor = self._started(self._accept, self._listener)
        elif was is Line.HUNG:
            self._drop_connections()  # what was swallowed never comes back

    def reset(self) -> None:
        """Reset every connection, once."""
        self._drop_connections(resetting=True)

    def close(self) -> None:
        """End every connection, and take no more."""
        self._state = Line.CUT
        self._close()
        self._acceptor.join(timeout=5)

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_connections()

    def _drop_connections(self, *, resetting: bool = False) -> None:
        with self._lock:
            dropped, self._sockets = self._sockets, set()
        if resetting:
            for connection in dropped:  # all, before the end of one ends its peer
                with contextlib.suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        for connection in dropped:
            _end(connection)  # which wakes the thread that reads it, for that to close it

    def _started(self, target: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._started(self._connect, client)

    def _connect(self, client: socket.socket) -> None:
        """Connect to the server, or end the client's connection as the server's machine would."""
        try:
            server = socket.create_connection(self._behind, timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._sockets |= {client, server}
        self._started(self._carry, client, server, False)
        self._carry(server, client, True)

    def _carry(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(READ_BYTES):
                if self._state is Line.SLOW:
                    time.sleep(SLOW_SECONDS)
                if self._state is Line.TORN and answers:
                    target.sendall(data[: len(data) // 2])
                    break
                if self._state is not Line.HUNG:
                    target.sendall(data)
        for connection in (source, target):
            _end(connection)
            connection.close()
            with self._lock:
                self._sockets.discard(connection)


def _end(connection: socket.socket) -> None:
    """End it in order; one that is to be reset says nothing before it is closed."""
    with contextlib.suppress(OSError):
        linger = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(RESET_ON_CLOSE))
        connection.shutdown(socket.SHUT_RD if linger == RESET_ON_CLOSE else socket.SHUT_RDWR)
