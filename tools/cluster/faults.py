"""What can go wrong with database hosts, by name; each gives back how it is mended."""

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass

from tools.cluster.database import DatabaseHost, Databases

Mend = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """`inject` does it; it lasts for `seconds`, and `a_year` is how often we assume it."""

    name: str
    what: str
    inject: Callable[[Databases, random.Random], Mend]
    seconds: float
    a_year: float


def _primary(databases: Databases) -> DatabaseHost:
    found = databases.primary()
    if found is None:
        raise TimeoutError("there is no primary")
    return found


def _standby(databases: Databases) -> DatabaseHost:
    found = databases.synchronous()
    if found is None:
        raise TimeoutError("there is no synchronous standby")
    return found


def _nothing() -> None:
    """It mends itself."""


def _switch(databases: Databases, chance: random.Random) -> Mend:
    databases.switch()
    return _nothing


def _kill_server(databases: Databases, chance: random.Random) -> Mend:
    _primary(databases).signal_servers(signal.SIGKILL)
    return _nothing


def _kill_host(member: DatabaseHost) -> Mend:
    member.host.kill()

    def mend() -> None:
        member.reap()
        member.start()

    return mend


def _kill_primarys_host(databases: Databases, chance: random.Random) -> Mend:
    return _kill_host(_primary(databases))


def _kill_standbys_host(databases: Databases, chance: random.Random) -> Mend:
    return _kill_host(_standby(databases))


def _stop_server(databases: Databases, chance: random.Random) -> Mend:
    primary = _primary(databases)
    primary.signal_servers(signal.SIGSTOP)
    return lambda: primary.signal_servers(signal.SIGCONT)


def _cut_off(databases: Databases, chance: random.Random) -> Mend:
    host = _primary(databases).host
    host.cut_off()
    return host.connect


def _worsen(databases: Databases, chance: random.Random) -> Mend:
    host = _primary(databases).host
    host.worsen("delay", f"{chance.randint(5, 15)}ms", "5ms", "loss", f"{chance.randint(1, 3)}%")
    return host.mend


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("switchover", "an operator moves the primary", _switch, 15, 24),
        Fault("server-killed", "the primary's PostgreSQL is killed", _kill_server, 25, 4),
        Fault("host-killed", "the primary's host loses power", _kill_primarys_host, 40, 2),
        Fault("host-cut-off", "the primary's host is cut off, both ways", _cut_off, 40, 2),
        Fault("server-stopped", "the primary's PostgreSQL stands still (SIGSTOP)", _stop_server, 60, 0.5),
        Fault(
            "standby-killed",
            "the synchronous standby's host loses power",
            _kill_standbys_host,
            40,
            2,
        ),
        Fault("bad-network", "the primary's packets are late, and some get lost", _worsen, 20, 4),
    )
}
