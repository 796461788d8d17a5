"""A way to PostgreSQL that is cut at a COMMIT: before the server has it, or after, when only the answer is lost."""

import socket
import threading
from contextlib import suppress
from enum import StrEnum


class Cut(StrEnum):
    """Which side of the commit the connection ends on."""

    BEFORE = "before the server has it"
    AFTER = "after the server has done it"


class CommitCutter:
    """Listens on a port of its own in front of the server's unix socket; carries all but the COMMIT it waits for."""

    def __init__(self, unix_socket: str) -> None:
        self._behind = unix_socket
        self._cut: Cut | None = None
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, cut: Cut) -> None:
        """The connection of the next COMMIT is cut, and no other."""
        self._cut = cut

    @property
    def is_armed(self) -> bool:
        """Whether no COMMIT has come since."""
        return self._cut is not None

    def close(self) -> None:
        """Take no more connections; those there are end with their clients."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._behind)
            except OSError:  # it is down
                server.close()
                client.close()
                continue
            losing = threading.Event()
            threading.Thread(target=self._ask, args=(client, server, losing), daemon=True).start()
            threading.Thread(target=_answer, args=(server, client, losing), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                cut = self._taken() if b"COMMIT" in data else None
                if cut is Cut.BEFORE:
                    break
                if cut is Cut.AFTER:
                    losing.set()
                server.sendall(data)
        _end(client, server)

    def _taken(self) -> Cut | None:
        with self._lock:
            cut, self._cut = self._cut, None
            return cut


def _answer(server: socket.socket, client: socket.socket, losing: threading.Event) -> None:
    with suppress(OSError):
        while data := server.recv(65536):
            if losing.is_set():
                break
            client.sendall(data)
    _end(client, server)


def _end(*connections: socket.socket) -> None:
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
