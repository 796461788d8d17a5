"""Hosts as network namespaces on one bridge: each has an address of its own and can be cut off, slowed or killed.

Invariant: nothing of it is left behind: `removed` ends what runs in the namespaces before it deletes them.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

BRIDGE = "cbx0"
NET = "10.177.0"
NETWORK = f"{NET}.0/24"
NOBODY = "02:00:00:00:00:fe"  # a hardware address of no host
ENDS_WITHIN_SECONDS = 20.0
NO_ANSWER = "8"  # arp_ignore: for none of the addresses
ROOT = Path(__file__).resolve().parents[2]


class Unable(Exception):
    """The machine cannot do it."""


class Host:
    """One namespace; `address` is its own on the bridge."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.namespace = f"cbx-{name}"
        self.address = f"{NET}.{number}"
        self._outside, self._inside = f"cbx-{name}-o", f"cbx-{name}-i"
        self._wire: subprocess.Popen[str] | None = None

    def make(self) -> None:
        _ip("netns", "add", self.namespace)
        inside = self._inside
        _ip("link", "add", self._outside, "type", "veth", "peer", "name", inside)
        _ip("link", "set", inside, "netns", self.namespace)
        _ip("link", "set", self._outside, "master", BRIDGE, "up")
        for arguments in (
            ("addr", "add", f"{self.address}/24", "dev", inside),
            ("link", "set", inside, "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", self.namespace, *arguments)

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command that runs `command` on this host, under its name."""
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name]
        return ["ip", "netns", "exec", self.namespace, *named, *command]

    def pids(self) -> list[int]:
        """Of all that runs there."""
        done = subprocess.run(
            ["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in done.stdout.split()]

    def kill(self) -> None:
        """A power cut: nothing is sent any more, not even a goodbye, and every process ends at once.

        `connect` gives the power back.
        """
        self.cut_off()
        self.end()

    def end(self) -> None:
        """Kill all that runs there, and what it starts meanwhile."""
        deadline = time.monotonic() + ENDS_WITHIN_SECONDS
        while (pids := self.pids()) and time.monotonic() < deadline:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def cut_off(self) -> None:
        """Both ways: what is sent goes nowhere, and nobody is told."""
        _ip("link", "set", self._outside, "down")

    def connect(self) -> None:
        _ip("link", "set", self._outside, "up")

    def mute(self, others: Sequence["Host"]) -> None:
        """One way: it hears the others, and what it sends them goes to a network card that nobody has."""
        for other in others:
            _ip(
                "-n", self.namespace, *self._neighbour("replace", other), "lladdr", NOBODY, "nud", "permanent"
            )

    def unmute(self, others: Sequence["Host"]) -> None:
        """As before `mute`."""
        for other in others:
            _ip("-n", self.namespace, *self._neighbour("del", other))

    def _neighbour(self, verb: str, other: "Host") -> list[str]:
        return ["neigh", verb, other.address, "dev", self._inside]

    def worsen(self, *, late_ms: float, varies_ms: float, lost: float, seed: int) -> None:
        """Put wire.py before the bridge, until `mend`: frames are late both ways, and a share of them is `lost`.

        Raises: Unable where frames cannot be carried.
        """
        far, near = self._wire_ends()
        _ip("link", "add", far, "type", "veth", "peer", "name", near)
        for device in (self._outside, near):
            # Frames pass there, no more: this machine, which has the bridge's address, must not answer from them.
            Path(f"/proc/sys/net/ipv4/conf/{device}/arp_ignore").write_text(NO_ANSWER)
        _ip("link", "set", near, "up")
        how = [str(value) for value in (late_ms, varies_ms, lost, seed)]
        self._wire = subprocess.Popen(
            [sys.executable, "-m", "tools.cluster.wire", self._outside, near, *how],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._wire.stdout is not None  # noqa: S101 - it was asked for
        if not self._wire.stdout.readline():
            self._end_wire()
            raise Unable("frames cannot be carried here")
        _ip("link", "set", self._outside, "nomaster")
        _ip("link", "set", far, "master", BRIDGE, "up")

    def mend(self) -> None:
        """As before `worsen`. Raises: Unable where the wire had ended by itself, so that the host was cut off."""
        ended = self._wire is None or self._wire.poll() is not None
        _ip("link", "set", self._outside, "master", BRIDGE)
        self._end_wire()
        if ended:
            raise Unable("the wire ended")

    def _end_wire(self) -> None:
        if self._wire is not None:
            with self._wire as wire:
                wire.kill()
            self._wire = None
        subprocess.run(["ip", "link", "del", self._wire_ends()[0]], check=False, stderr=subprocess.DEVNULL)

    def _wire_ends(self) -> tuple[str, str]:
        return f"cbx-{self.name}-b", f"cbx-{self.name}-w"

    def remove(self) -> None:
        """End everything that runs there, and the host."""
        self.end()
        self._end_wire()
        for arguments in (("link", "del", self._outside), ("netns", "del", self.namespace)):
            subprocess.run(["ip", *arguments], check=False, stderr=subprocess.DEVNULL)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def made(hosts: Sequence[Host]) -> Iterator[None]:
    """The bridge and the hosts, until the end of the block; what an earlier run left is removed first."""
    removed(hosts)
    try:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{NET}.254/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for host in hosts:
            host.make()
        yield
    finally:
        removed(hosts)


def removed(hosts: Sequence[Host]) -> None:
    for host in hosts:
        host.remove()
    subprocess.run(["ip", "link", "del", BRIDGE], check=False, stderr=subprocess.DEVNULL)
