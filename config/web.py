"""The web program: granian with listening sockets that outlive its processes. `python -m config.web --port N`.

Each process has a socket of its own, among which the kernel spreads connections evenly; but the master holds them all,
and a process that replaces another takes over its socket, with whatever waits there. As granian does it on Linux, what
has connected to a process that ends is reset. SIGHUP replaces the processes one after another by such with the code of
now; one that dies is replaced.
"""

import argparse
import os
import socket
from collections.abc import Callable
from typing import Any

from granian.constants import Interfaces, Loops
from granian.net import SocketHolder, SocketSpec
from granian.server.mp import MPServer

# An order that waits is answered within 5 s, after its process has begun to retire (`config.retiring`). A process that
# is told to end while it still starts does not hear it.
STOP_SECONDS = 8
# By then a new process serves, before an old one retires; what connects earlier waits in the socket that they share.
REPLACE_AFTER_SECONDS = 6.0

Listener = tuple[SocketHolder, socket.socket]


class LastingSocketsServer(MPServer):
    """A server whose processes inherit their listening sockets, as granian's do on other systems than Linux."""

    _shd: Any  # of the process that is started next

    def _init_shared_socket(self) -> None:
        self._ssp = None
        self._listeners = [self._listener() for _ in range(self.workers)]

    def _listener(self) -> Listener:
        holder = SocketSpec(self.bind_addr, self.bind_port, self.backlog).build()
        listening = socket.socket(fileno=holder.get_fd())
        listening.set_inheritable(True)
        return holder, listening

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Callable[..., Any]) -> Any:  # type: ignore[override]
        self._shd, self._sso = self._listeners[idx]
        return super()._spawn_worker(idx, target, callback_loader)

    def _drop_shared_socket(self) -> None:
        for _, listening in self._listeners:
            listening.close()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m config.web", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    options = parser.parse_args()
    os.environ["UV_USE_IO_URING"] = "0"  # with it uvloop keeps a kernel thread polling, a third of a core
    LastingSocketsServer(
        "config.asgi:application",
        address=options.host,
        port=options.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        websockets=False,
        workers=options.workers,
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        respawn_interval=REPLACE_AFTER_SECONDS,
    ).serve()


if __name__ == "__main__":
    main()
