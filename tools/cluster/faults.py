"""What can go wrong with hosts, and what operators do to them, by name; each gives back how it is mended."""

import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.cluster.database import DatabaseHost, Databases
from tools.cluster.laboratory import Laboratory, Machine

Mend = Callable[[], None]
ROLLED_WITHIN_SECONDS = 480.0


class NotMended(Exception):
    """What was to be mended, or an operator's work to be done, was not."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`inject` does it; it lasts for `seconds`, and `a_year` is how often we assume it."""

    name: str
    what: str
    inject: Callable[[Laboratory, random.Random], Mend]
    seconds: float
    a_year: float
    small_disks: bool = False


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


def _do_nothing(lab: Laboratory, chance: random.Random) -> Mend:
    return _nothing


def _switch(lab: Laboratory, chance: random.Random) -> Mend:
    lab.databases.switch()
    return _nothing


def _kill_server(lab: Laboratory, chance: random.Random) -> Mend:
    _primary(lab.databases).signal(signal.SIGKILL)
    return _nothing


def _kill_host(machine: Machine) -> Mend:
    machine.kill()
    return machine.start


def _kill_primarys_host(lab: Laboratory, chance: random.Random) -> Mend:
    return _kill_host(lab.machine(_primary(lab.databases).host))


def _kill_standbys_host(lab: Laboratory, chance: random.Random) -> Mend:
    return _kill_host(lab.machine(_standby(lab.databases).host))


def _kill_programs(lab: Laboratory, chance: random.Random) -> Mend:
    lab.leader("feed").programs.kill()
    return _nothing


def _stop_server(lab: Laboratory, chance: random.Random) -> Mend:
    primary = _primary(lab.databases)
    primary.signal(signal.SIGSTOP)
    return lambda: primary.signal(signal.SIGCONT)


def _cut_off(lab: Laboratory, chance: random.Random) -> Mend:
    host = _primary(lab.databases).host
    host.cut_off()
    return host.connect


def _mute(lab: Laboratory, chance: random.Random) -> Mend:
    host = _primary(lab.databases).host
    others = [each for each in lab.hosts if each is not host]
    host.mute(others)
    return lambda: host.unmute(others)


def _kill_etcd(members: Sequence[DatabaseHost]) -> Mend:
    for member in members:
        member.signal(signal.SIGKILL, "etcd")

    def mend() -> None:
        for member in members:
            member.start_etcd()

    return mend


def _kill_etcd_of_primary(lab: Laboratory, chance: random.Random) -> Mend:
    return _kill_etcd([_primary(lab.databases)])


def _kill_etcd_everywhere(lab: Laboratory, chance: random.Random) -> Mend:
    return _kill_etcd(lab.databases.members)


def _kill_standby_and_server(lab: Laboratory, chance: random.Random) -> Mend:
    """The server is killed when the other standby has become the synchronous one."""
    databases = lab.databases
    first, primary = _standby(databases), _primary(databases)
    mend = _kill_host(lab.machine(first.host))
    databases.await_(lambda: databases.synchronous() not in (None, first), "other synchronous standby")
    primary.signal(signal.SIGKILL)
    return mend


def _worsen(lab: Laboratory, chance: random.Random) -> Mend:
    host = _primary(lab.databases).host
    host.worsen(
        late_ms=chance.randint(5, 15),
        varies_ms=5,
        lost=chance.uniform(0.01, 0.03),
        seed=chance.randrange(10**6),
    )
    return host.mend


def _fill_disk(lab: Laboratory, chance: random.Random) -> Mend:
    disk = _primary(lab.databases).disk
    disk.fill()
    return disk.free


def _fill_disk_and_switch(lab: Laboratory, chance: random.Random) -> Mend:
    mend = _fill_disk(lab, chance)
    time.sleep(chance.uniform(4, 8))
    lab.databases.switch()
    return mend


def _kill_broker(lab: Laboratory, chance: random.Random) -> Mend:
    found = lab.brokers.primary()
    if found is None:
        raise TimeoutError("there is no broker")
    found.kill()
    return found.start


def _roll(lab: Laboratory, chance: random.Random) -> Mend:
    rolling = lab.roll()

    def mend() -> None:
        if not rolling.has_succeeded(within_seconds=ROLLED_WITHIN_SECONDS):
            raise NotMended(f"the programs were not replaced: {lab.folder / 'roll.log'}")

    return mend


def _roll_and_switch(lab: Laboratory, chance: random.Random) -> Mend:
    mend = _roll(lab, chance)
    time.sleep(chance.uniform(5, 30))
    lab.databases.switch()
    return mend


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("no-fault", "nothing", _do_nothing, 60, 0),
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
        Fault(
            "disk-full",
            "the disk of the primary's PostgreSQL is full for 20 s",
            _fill_disk,
            20,
            0.2,
            small_disks=True,
        ),
        Fault(
            "disk-full-and-switchover",
            "the disk of the primary's PostgreSQL is full, and after some seconds an operator moves the primary",
            _fill_disk_and_switch,
            25,
            0.2,
            small_disks=True,
        ),
        Fault("broker-killed", "the broker's primary and its Sentinel are killed", _kill_broker, 30, 2),
        Fault(
            "programs-killed",
            "all programs of the host whose feed leads are killed, and started again",
            _kill_programs,
            30,
            4,
        ),
        Fault("rolling-upgrade", "the programs of all hosts are replaced, one after another", _roll, 10, 24),
        Fault(
            "rolling-and-switchover",
            "the programs of all hosts are replaced, and meanwhile the primary is moved",
            _roll_and_switch,
            40,
            12,
        ),
        Fault(
            "bad-network",
            "the primary's packets are late, both ways, and some get lost",
            _worsen,
            20,
            4,
        ),
    )
}
