"""Connections of clients that hold a place and do nothing with it: found in the kernel's books, and closed.

The server bounds the time of headers (`infra.http_server.lasting_sockets`), but not that of a client that sends nothing
at all, and no number for each address. A process looks at its own connections once a second; what a client sends or
leaves unsent costs nothing in between. Linux only: elsewhere nothing is found, and nothing closed.
"""

import os
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from infra.http_server.client_network import network_of

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 1.0
# Nothing was sent to it for so long: longer than any answer takes, and than an idle connection is kept.
SILENT_AFTER_SECONDS = 40.0
# A request that has not been answered for so long is half sent, or slow; of one address so many are left.
UNFINISHED_AFTER_SECONDS = 3.0
UNFINISHED_OF_ADDRESS = 100
# Below so many connections there is nothing to be found that matters.
FEW = 64
# struct tcp_info of linux/tcp.h: last_data_sent, last_ack_sent, last_data_recv (ms ago); bytes_acked, bytes_received.
_TIMES = struct.Struct("=44x3I")
_BYTES = struct.Struct("=120x2Q")
_INFO_BYTES = 136


@dataclass(frozen=True, slots=True)
class Held:
    """A client's connection; `silent_seconds` since it was last sent anything, or made."""

    descriptor: int
    peer: tuple[str, int]
    silent_seconds: float
    is_unfinished: bool

    @property
    def address(self) -> str:
        """Whom it counts for."""
        return network_of(self.peer[0])


class ConnectionGuard:
    """Closes, of the connections that come in by this process's listening sockets, those that nobody needs.

    An address may have `of_address` of them, unless it `is_trusted` (a proxy of ours, which has limits of its own).
    """

    def __init__(self, *, of_address: int, is_trusted: Callable[[str], bool] = lambda address: False) -> None:
        self._of_address = of_address
        self._is_trusted = is_trusted
        self._ports: set[int] = set()

    def start(self) -> None:
        """Begin to look, on a thread of its own."""
        threading.Thread(target=self._run, name="connections", daemon=True).start()

    def _run(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(LOOK_EVERY_SECONDS):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the next look may do better, and orders need none
                log.warning("connections could not be looked at", error=repr(error))

    def look(self) -> int:
        """Close what is too much; how many that were."""
        descriptors = _descriptors()
        if len(descriptors) < FEW and self._ports:
            return 0
        self._ports |= _listening(descriptors)
        held = [found for descriptor in descriptors if (found := _held(descriptor, self._ports)) is not None]
        closed = sum(_close(each) for each in self._too_many(held))
        if closed:
            log.warning("closed connections that nobody used", closed=closed, left=len(held) - closed)
        return closed

    def _too_many(self, held: Iterable[Held]) -> list[Held]:
        of_address: defaultdict[str, list[Held]] = defaultdict(list)
        closing: dict[int, Held] = {}
        for each in held:
            if each.silent_seconds > SILENT_AFTER_SECONDS:
                closing[each.descriptor] = each
            elif not self._is_trusted(each.peer[0]):
                of_address[each.address].append(each)
        for theirs in of_address.values():
            theirs.sort(key=lambda each: -each.silent_seconds)
            unfinished = [each for each in theirs if each.is_unfinished]
            late = [each for each in unfinished if each.silent_seconds > UNFINISHED_AFTER_SECONDS]
            for each in late[: max(len(unfinished) - UNFINISHED_OF_ADDRESS, 0)]:
                closing[each.descriptor] = each
            left = [each for each in theirs if each.descriptor not in closing]
            for each in left[: max(len(left) - self._of_address, 0)]:
                closing[each.descriptor] = each
        return list(closing.values())


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return []


def _copy(descriptor: int) -> socket.socket:
    """A socket of our own for a descriptor that is the server's. Raises: OSError if it is no socket."""
    copied = os.dup(descriptor)
    try:
        return socket.socket(fileno=copied)
    except OSError:
        os.close(copied)
        raise


def _listening(descriptors: Iterable[int]) -> set[int]:
    ports: set[int] = set()
    for descriptor in descriptors:
        with suppress(OSError), _copy(descriptor) as found:
            if found.family in (socket.AF_INET, socket.AF_INET6) and found.getsockopt(
                socket.SOL_SOCKET, socket.SO_ACCEPTCONN
            ):
                ports.add(found.getsockname()[1])
    return ports


def _held(descriptor: int, ports: set[int]) -> Held | None:
    """What the kernel says of a descriptor, if it is a client's connection."""
    try:
        with _copy(descriptor) as copy:
            if copy.family not in (socket.AF_INET, socket.AF_INET6) or copy.getsockname()[1] not in ports:
                return None
            peer = copy.getpeername()
            info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except OSError:
        return None
    if len(info) < _INFO_BYTES:
        return None
    sent_ms, _, received_ms = _TIMES.unpack_from(info)
    sent_bytes, _ = _BYTES.unpack_from(info)
    return Held(
        descriptor=descriptor,
        peer=(peer[0], peer[1]),
        silent_seconds=sent_ms / 1000,
        is_unfinished=not sent_bytes or received_ms < sent_ms,
    )


def _close(held: Held) -> bool:
    """Shut a connection, unless its descriptor has become another's; the server sees its end and clears it away."""
    with suppress(OSError), _copy(held.descriptor) as copy:
        if copy.getpeername()[:2] == held.peer:
            copy.shutdown(socket.SHUT_RDWR)
            return True
    return False
