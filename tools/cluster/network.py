"""Hosts as network namespaces on one bridge: each has an address of its own and can be cut off, slowed or killed.

Invariant: nothing of it is left behind: `removed` ends what runs in the namespaces before it deletes them.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

BRIDGE = "cbx0"
NET = "10.177.0"
NETWORK = f"{NET}.0/24"
NOBODY = "02:00:00:00:00:fe"  # a hardware address of no host
ENDS_WITHIN_SECONDS = 20.0


class Unable(Exception):
    """The machine cannot do it."""


class Host:
    """One namespace; `address` is its own on the bridge."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.namespace = f"cbx-{name}"
        self.address = f"{NET}.{number}"
        self._outside, self._inside = f"cbx-{name}-o", f"cbx-{name}-i"

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

    def worsen(self, *how: str) -> None:
        """Hold up and lose packets to this host (`delay 50ms loss 5%`).

        Raises: Unable where the kernel has no netem.
        """
        command = ["tc", "qdisc", "replace", "dev", self._outside, "root", "netem", *how]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unable(f"netem: {done.stderr.strip()}")

    def mend(self) -> None:
        """As before `worsen`."""
        subprocess.run(
            ["tc", "qdisc", "del", "dev", self._outside, "root"], check=False, stderr=subprocess.DEVNULL
        )

    def remove(self) -> None:
        """End everything that runs there, and the host."""
        self.end()
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
