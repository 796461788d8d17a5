"""granian with listening sockets that outlive its processes.

Each process has a socket of its own, among which the kernel spreads connections evenly; but the master holds them all,
and a process that replaces another takes over its socket, with all that waits there. As granian does it on Linux, what
has connected to a process that ends is reset. SIGHUP replaces the processes one after another by such with the code of
now, each once the new one serves; one that dies is replaced.
"""

import argparse
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Event
from typing import Any

from granian.http import HTTP1Settings
from granian.net import SocketHolder, SocketSpec
from granian.server.mp import MPServer

from infra.http_server import serving

# What waits is answered within 2 s, after its process has begun to retire (`infra.http_server.retiring`).
STOP_SECONDS = 8
# An old process retires as soon as the new one serves. One that does not by then is taken to be there all the same:
# what connects waits in the socket that they share.
REPLACE_AFTER_SECONDS = 60.0
LOOKS_EVERY_SECONDS = 0.2

FILES = 256  # besides its connections
# A header is complete within its time (ms), and so is the next one of an idle connection.
HTTP1 = HTTP1Settings(header_read_timeout=30_000)

Listener = tuple[SocketHolder, socket.socket]


class LastingSocketsServer(MPServer):
    """A server whose processes inherit their listening sockets, as granian's do on other systems than Linux."""

    _shd: Any  # of the process that is started next

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        os.register_at_fork(after_in_child=_end_when_told)
        super().startup(spawn_target, target_loader)

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
        self._serves = serving.expect()
        return super()._spawn_worker(idx, target, callback_loader)

    def _respawn_workers(
        self, workers: Sequence[int], spawn_target: Any, target_loader: Any, delay: float = 0.0
    ) -> None:
        """Replace each in turn; an old one is told to end when the new one serves, or after `delay` seconds."""
        for idx in workers:
            if self.interrupt_signal:
                return
            old: Any = self.wrks[idx]
            old.terminate = self._once_served(old.terminate, idx, within_seconds=delay)
            super()._respawn_workers([idx], spawn_target, target_loader)

    def _once_served(self, end: Callable[[], None], idx: int, *, within_seconds: float) -> Callable[[], None]:
        def wait_and_end() -> None:
            self._wait_until_served(idx, self._serves, within_seconds)
            end()

        return wait_and_end

    def _wait_until_served(self, idx: int, serves: Event, within_seconds: float) -> None:
        """Until the new process serves, has ended, or nobody wants it any more."""
        until = time.monotonic() + within_seconds
        while time.monotonic() < until and self.wrks[idx].is_alive() and not self.interrupt_signal:
            if serves.wait(LOOKS_EVERY_SECONDS):
                return

    def _drop_shared_socket(self) -> None:
        for _, listening in self._listeners:
            listening.close()


def _end_when_told() -> None:
    """Of a new process, until it has loaded and set its own handler.

    By the master's, which it inherits, it would go on loading, and be killed STOP_SECONDS later.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def allow_connections(count: int) -> int:
    """Let this process have so many, or as many as the system lets it have besides its files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return count if most == resource.RLIM_INFINITY else max(min(count, most - FILES), 1)


def options_of(module: str, description: str | None) -> argparse.ArgumentParser:
    """What is told to each of our servers on its command line."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--replace-after",
        type=float,
        default=REPLACE_AFTER_SECONDS,
        help="seconds that a new process has at most to start before the old one retires",
    )
    return parser
