"""What can go wrong with database hosts, by name; each gives back how it is mended."""

import random
import signal
from collections.abc import Callable, Sequence
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
    _primary(databases).signal(signal.SIGKILL)
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
    primary.signal(signal.SIGSTOP)
    return lambda: primary.signal(signal.SIGCONT)


def _cut_off(databases: Databases, chance: random.Random) -> Mend:
    host = _primary(databases).host
    host.cut_off()
    return host.connect


def _mute(databases: Databases, chance: random.Random) -> Mend:
    host = _primary(databases).host
    others = [each for each in databases.neighbours if each is not host]
    host.mute(others)
    return lambda: host.unmute(others)


def _kill_etcd(members: Sequence[DatabaseHost]) -> Mend:
    for member in members:
        member.signal(signal.SIGKILL, "etcd")

    def mend() -> None:
        for member in members:
            member.reap()
            member.start_etcd()

    return mend


def _kill_etcd_of_primary(databases: Databases, chance: random.Random) -> Mend:
    return _kill_etcd([_primary(databases)])


def _kill_etcd_everywhere(databases: Databases, chance: random.Random) -> Mend:
    return _kill_etcd(databases.members)


def _kill_standby_and_server(databases: Databases, chance: random.Random) -> Mend:
    """The server is killed when the other standby has become the synchronous one."""
    first, primary = _standby(databases), _primary(databases)
    mend = _kill_host(first)
    databases.await_(lambda: databases.synchronous() not in (None, first), "other synchronous standby")
    primary.signal(signal.SIGKILL)
    return mend


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
        Fault(
            "host-muted",
            "the primary's host is heard by nobody and hears all (cut off one way)",
            _mute,
            40,
            1,
        ),
        Fault("etcd-killed", "etcd is killed on the primary's host", _kill_etcd_of_primary, 25, 4),
        Fault("etcd-lost", "etcd is killed on all three hosts", _kill_etcd_everywhere, 40, 0.5),
        Fault(
            "two-at-once",
            "the synchronous standby's host loses power, then the primary's PostgreSQL is killed",
            _kill_standby_and_server,
            60,
            0.2,
        ),
        Fault("bad-network", "the primary's packets are late, and some get lost", _worsen, 20, 4),
    )
}
