"""The laboratory: three whole hosts, a load balancer before them, a venue and clients; ended without a trace."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tools.cluster import network
from tools.cluster.balancer import Balancer
from tools.cluster.brokers import BrokerHost, Brokers
from tools.cluster.database import DatabaseHost, Databases
from tools.cluster.programs import LED, PROCESSES, Programs, leaders
from tools.cluster.venue import Venue
from tools.embedded import keys, places
from tools.stack.supervision import wait_until

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {"ip": "iproute2", "etcd": "etcd-server", "haproxy": "haproxy"}
SERVES_WITHIN_SECONDS = 240.0


def tell(line: str) -> None:
    print(f"  {line}", flush=True)  # noqa: T201 - the command's output


def missing() -> list[str]:
    """Why it cannot be tried here."""
    found = [f"{name} (Debian: {package})" for name, package in NEEDED.items() if shutil.which(name) is None]
    return found if os.geteuid() == 0 else ["root", *found]


def is_impossible() -> bool:
    """Whether it cannot be tried here, which is told loudly."""
    reasons = missing()
    if reasons:
        tell(f"SKIPPED: the laboratory of hosts needs {', '.join(reasons)}. Nothing was tried.")
    return bool(reasons)


class Machine:
    """One whole host: a database server, a broker's node, and every program."""

    def __init__(self, database: DatabaseHost, broker: BrokerHost, programs: Programs) -> None:
        self.host = database.host
        self.database, self.broker, self.programs = database, broker, programs

    def kill(self) -> None:
        """It loses power."""
        self.host.kill()

    def start(self) -> None:
        """It has power again: all that it runs is started, as after its boot."""
        self.host.connect()
        self.database.start()
        self.broker.start()
        self.programs.start()


class Rolling:
    """An upgrade of the programs of all hosts, one after another, in the background; the first one migrates."""

    def __init__(self, machines: Sequence[Machine], log: Path) -> None:
        self._machines = machines
        self._log = log
        self._code = 0
        self._thread = threading.Thread(target=self._roll, daemon=True)
        self._thread.start()

    def has_succeeded(self, *, within_seconds: float) -> bool:
        """Whether the programs of all hosts were replaced in time."""
        self._thread.join(within_seconds)
        return not self._thread.is_alive() and self._code == 0

    def _roll(self) -> None:
        for machine in self._machines:
            with self._log.open("a") as log:
                self._code = subprocess.run(
                    machine.host.inside([sys.executable, "-m", "tools.stack", "roll"]),
                    cwd=ROOT,
                    env={**os.environ, **machine.programs.environment},
                    stdout=log,
                    stderr=log,
                ).returncode
            if self._code:
                return


class Laboratory:
    """What there is while it runs."""

    def __init__(self, folder: Path, *, small_disks: bool) -> None:
        self.folder = folder
        made = folder / "hosts"
        hosts = [network.Host(f"host{number}", number) for number in (1, 2, 3)]
        balancer, venue = network.Host("balancer", 10), network.Host("venue", 20)
        self.clients = network.Host("clients", 30)
        self.hosts = [*hosts, balancer, venue, self.clients]
        self.databases = Databases(hosts, made, patroni_installed(folder), small_disks=small_disks)
        self.brokers = Brokers(hosts, made)
        self.balancer = Balancer(balancer, hosts, made)
        self.venue = Venue(venue, made)
        self._told: dict[str, str] = {}
        self.machines = [
            Machine(database, broker, Programs(database.host, made, self._told))
            for database, broker in zip(self.databases.members, self.brokers.members, strict=True)
        ]

    @property
    def client_folder(self) -> Path:
        """VAR_DIR of what clients and operators run; it has the keys of all hosts."""
        return self.folder / "hosts" / "clients"

    @property
    def environment(self) -> dict[str, str]:
        """Of what clients and operators run."""
        return {**os.environ, **self._told, "VAR_DIR": str(self.client_folder)}

    def machine(self, host: network.Host) -> Machine:
        return next(each for each in self.machines if each.host is host)

    def leader(self, name: str) -> Machine:
        """The machine whose `name` leads. Raises: TimeoutError when none does."""
        found: dict[str, str] = {}
        with suppress(psycopg.OperationalError):
            found = leaders(self._urls)
        for machine in self.machines:
            if found.get(name) == machine.host.name:
                return machine
        raise TimeoutError(f"no {name} leads")

    @property
    def _urls(self) -> list[str]:
        return [self._told["DATABASE_URL"], self._told["DESK_DATABASE_URL"]]

    def lacking(self) -> list[str]:
        """What a host should have and has not, and works that nobody leads; nothing while all is whole."""
        if not self.databases.is_whole():
            return ["a primary that two standbys follow, one of them synchronous"]
        if not self.brokers.is_whole():
            return ["a broker that two others follow"]
        try:
            led = set(leaders(self._urls))
        except psycopg.OperationalError as error:
            return [f"an answer of the databases: {error}"]
        lacking = [f"a {name} that leads" for name in sorted(LED - led)]
        for machine in self.machines:
            lacking += [f"{each} on {machine.host.name}" for each in machine.programs.lacking()]
        return lacking

    def await_whole(self, within_seconds: float) -> None:
        """Raises: TimeoutError, which says what there is not."""
        if not wait_until(lambda: not self.lacking(), within_seconds=within_seconds, every_seconds=0.5):
            raise TimeoutError(
                f"not whole within {within_seconds:g} s; there is no {', no '.join(self.lacking())}"
            )

    def start_servers(self) -> None:
        """Databases, new ones, and the broker. Raises: TimeoutError."""
        self.brokers.start()
        self.databases.start()
        self.databases.await_(self.brokers.is_whole, "a broker that two others follow")

    def start_beside(self) -> None:
        """The venue and the balancer, with new keys for all programs."""
        self.client_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = keys.ensure(self.client_folder)
        addresses = [each.address for each in self.hosts]
        self._told |= {
            "DATABASE_URL": self.databases.url("crossbook"),
            "DESK_DATABASE_URL": self.databases.url("desk"),
            **self.brokers.environment,
            **self.venue.environment,
            **{name: made[name] for name in keys.PUBLISHED},
            **PROCESSES,
            "COUNTER_URL": self.balancer.desk_url,
            "STREAM_URL": self.balancer.url,
            "ALLOWED_HOSTS": ",".join(["127.0.0.1", *addresses]),
            "TRUSTED_PROXIES": f"{self.balancer.host.address}/32",
        }
        self.venue.start()
        self.balancer.start()

    def serve(self) -> None:
        """Start the programs of all hosts: those of the first migrate. Raises: TimeoutError."""
        began_at = time.monotonic()
        first, *others = self.machines
        first.programs.start()
        self.databases.await_(first.programs.checks, "web on the first host", SERVES_WITHIN_SECONDS)
        for machine in others:
            machine.programs.start()
        self.await_whole(SERVES_WITHIN_SECONDS)
        tell(f"the programs of three hosts serve, after {time.monotonic() - began_at:.0f} s")

    def run(self, *command: str, log: Path, check: bool = True) -> int:
        """Run a module of the project beside the clients; its exit code. Raises: CalledProcessError."""
        with log.open("a") as output:
            return subprocess.run(
                self.clients.inside([sys.executable, "-m", *command]),
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=output,
                check=check,
            ).returncode

    def roll(self) -> Rolling:
        """Begin to replace the programs of every host, as `make rolling` does on each."""
        return Rolling(self.machines, self.folder / "roll.log")

    def forget(self) -> None:
        """What the hosts had outside of their folders; they are gone."""
        for machine in self.machines:
            machine.programs.forget()


def patroni_installed(folder: Path) -> Path:
    """A virtual environment of its own with Patroni, made when there is none."""
    made = folder / "patroni"
    if not (made / "bin/patroni").exists():
        tell("installing Patroni")
        subprocess.run([sys.executable, "-m", "venv", made], check=True)
        install = [str(made / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        lock = Path(__file__).with_name("requirements.lock")
        subprocess.run([*install, "--require-hashes", "--no-deps", "-r", str(lock)], check=True)
    return made


@contextmanager
def built(*, small_disks: bool = False) -> Iterator[Laboratory]:
    """The laboratory in VAR_DIR, serving; `small_disks`: those of the databases can be filled.

    Raises: network.Unable, TimeoutError.
    """
    folder = places.absolute(places.var_dir_of(os.environ)) / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    made = Laboratory(folder, small_disks=small_disks)
    try:
        with network.made(made.hosts), made.databases.on_disks():
            began_at = time.monotonic()
            tell("starting three hosts: databases and broker")
            made.start_servers()
            made.start_beside()
            tell(f"databases and broker after {time.monotonic() - began_at:.0f} s; starting the programs")
            made.serve()
            yield made
    finally:
        made.forget()
