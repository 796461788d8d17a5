"""A bad wire between two network devices: frames arrive late, some overtake others, some are lost.

It does what netem does, also where the kernel is built without that. Run as a process:
`python -m tools.cluster.wire DEVICE DEVICE LATE_MS VARIES_MS LOST SEED`. It prints a line once it carries frames, and
ends with SIGTERM; what is on the way then is lost.
"""

import heapq
import itertools
import random
import select
import socket
import sys
import time

# linux/socket.h, linux/if_packet.h and linux/if_ether.h; the socket module names none of them.
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
ETH_P_ALL = 0x0003
# A frame may be as long as segmentation offload makes it; the header of PACKET_VNET_HDR says where it is to be cut.
FRAME_BYTES = 128 * 1024
BUFFER_BYTES = 8 * 1024 * 1024
FRAMES_AT_ONCE = 64


class Wire:
    """What one of two devices hears leaves by the other, `late_s` later, give or take `varies_s`, if it is not lost."""

    def __init__(
        self, devices: tuple[str, str], *, late_s: float, varies_s: float, lost: float, chance: random.Random
    ) -> None:
        one, other = _opened(devices[0]), _opened(devices[1])
        self._across = {one: other, other: one}
        self._late_s, self._varies_s, self._lost = late_s, varies_s, lost
        self._chance = chance
        self._number = itertools.count()  # frames that are due at once keep their order
        self._on_the_way: list[tuple[float, int, socket.socket, bytes]] = []

    def carry(self) -> None:
        """Without end."""
        while True:
            due = self._on_the_way[0][0] if self._on_the_way else None
            wait = None if due is None else max(0.0, due - time.monotonic())
            for heard in select.select(list(self._across), [], [], wait)[0]:
                self._take(heard)
            self._deliver(time.monotonic())

    def _take(self, heard: socket.socket) -> None:
        for _ in range(FRAMES_AT_ONCE):
            try:
                frame = heard.recv(FRAME_BYTES)
            except OSError:
                return  # no more for now, or the device is down
            if self._chance.random() < self._lost:
                continue
            late_s = self._late_s + self._chance.uniform(-self._varies_s, self._varies_s)
            heapq.heappush(
                self._on_the_way,
                (time.monotonic() + late_s, next(self._number), self._across[heard], frame),
            )

    def _deliver(self, now: float) -> None:
        while self._on_the_way and self._on_the_way[0][0] <= now:
            _, _, out, frame = heapq.heappop(self._on_the_way)
            try:
                out.send(frame)
            except OSError:
                continue  # a full queue, or a device that is down: one more frame that is lost


def _opened(device: str) -> socket.socket:
    """What `device` hears, and a way out through it. Needs CAP_NET_RAW."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    opened.bind((device, ETH_P_ALL))
    opened.setblocking(False)
    return opened


def main() -> None:
    one, other, late_ms, varies_ms, lost, seed = sys.argv[1:]
    wire = Wire(
        (one, other),
        late_s=float(late_ms) / 1000,
        varies_s=float(varies_ms) / 1000,
        lost=float(lost),
        chance=random.Random(seed),
    )
    print("carries", flush=True)  # noqa: T201 - read by the parent
    wire.carry()


if __name__ == "__main__":
    main()
