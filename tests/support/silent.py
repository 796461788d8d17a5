"""A server that takes connections and says nothing, as one whose processes stand still does."""

import socket
import threading
from contextlib import suppress


class SilentServer:
    """Use as a context; `connections` is how often somebody has connected."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take, daemon=True)

    @property
    def connections(self) -> int:
        return len(self._taken)

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self._taken.append(self._listening.accept()[0])

    def __enter__(self) -> "SilentServer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # which ends `accept`
        self._thread.join()
        for each in (self._listening, *self._taken):
            each.close()
