"""The databases: etcd, Patroni and the wheel's PostgreSQL on each host, configured by deploy/patroni/patroni.yml."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests
import yaml

from tools.cluster.archive import PASSWORD, Archive
from tools.cluster.disk import Disk
from tools.cluster.network import NETWORK, Host
from tools.cluster.services import Services
from tools.embedded import postgres
from tools.stack.supervision import wait_until

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_SECONDS = 90.0
DISK_MEGABYTES = 1500  # of a host whose disk is to be filled: ten times what a run writes
USER = "crossbook"
# As tools.embedded does: PostgreSQL refuses to run as root.
RUN = """
import os, sys
from pathlib import Path
from tools.embedded import privileges
privileges.choose(data=Path("/nowhere"), needed=(), kind="namespace").enter()
os.execv(sys.argv[1], sys.argv[1:])
"""


class DatabaseHost:
    """One of the three."""

    def __init__(self, host: Host, others: Sequence[Host], folder: Path, patroni: Path) -> None:
        self.host, self.name = host, host.name
        self._folder = folder / host.name / "database"
        self.disk = Disk(self._folder / "disk", megabytes=DISK_MEGABYTES)
        self.is_on_disk = False
        self.bootstrap: dict[str, Any] = {}  # how Patroni makes a first server, where not by initdb
        self._hosts = others
        self._patroni = patroni
        self._services = Services(host, self._folder)

    def start(self) -> None:
        """Start etcd and Patroni, which starts PostgreSQL; on a host that was killed they find what they had.

        Beside them what keeps etcd's leader off the primary's host.
        """
        self.start_etcd()
        configuration = self._folder / "patroni.yml"
        configuration.write_text(yaml.safe_dump(self._configuration()))
        command = [str(self._patroni / "bin/python"), str(self._patroni / "bin/patroni"), str(configuration)]
        self._services.start(
            "patroni", [sys.executable, "-c", RUN, *command], environment={"PYTHONPATH": str(ROOT)}
        )

        elsewhere = ROOT / "deploy/patroni/etcd_elsewhere.py"
        self._services.start("etcd-elsewhere", [sys.executable, str(elsewhere), self.host.address])

    def start_etcd(self) -> None:
        """Start etcd alone, with what it had."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_known = (self._folder / "etcd").exists()
        peers = ",".join(f"{each.name}=http://{each.address}:2380" for each in self._hosts)
        at = self.host.address
        etcd = {
            "name": self.name,
            "data-dir": self._folder / "etcd",
            "listen-peer-urls": f"http://{at}:2380",
            "initial-advertise-peer-urls": f"http://{at}:2380",
            "listen-client-urls": f"http://{at}:2379",
            "advertise-client-urls": f"http://{at}:2379",
            "initial-cluster": peers,
            "initial-cluster-state": "existing" if is_known else "new",
            "heartbeat-interval": 200,
            "election-timeout": 2000,
            "logger": "zap",
        }
        self._services.start("etcd", ["etcd", *(f"--{name}={value}" for name, value in etcd.items())])

    def _configuration(self) -> dict[str, Any]:
        """The example of deploy/, with the addresses, folders and passwords of the laboratory."""
        made: dict[str, Any] = yaml.safe_load((ROOT / "deploy/patroni/patroni.yml").read_text())
        at = self.host.address
        made["name"] = self.name
        made["restapi"] = {"listen": f"{at}:8008", "connect_address": f"{at}:8008"}
        made["etcd3"]["hosts"] = [f"{each.address}:2379" for each in self._hosts]
        made["bootstrap"]["dcs"]["postgresql"]["parameters"]["shared_buffers"] = "128MB"
        made["bootstrap"] |= self.bootstrap
        made["postgresql"] |= {
            "listen": f"{at}:5432",
            "connect_address": f"{at}:5432",
            "data_dir": str(self.data),
            "bin_dir": str(postgres.installed() / "bin"),
            "pgpass": str(self._folder / "pgpass"),
            "pg_hba": [
                "local all all trust",
                f"host all all {NETWORK} md5",
                f"host replication all {NETWORK} md5",
            ],
        }
        made["postgresql"]["parameters"] = {"unix_socket_directories": str(self._folder)}
        for role in made["postgresql"]["authentication"].values():
            role["password"] = PASSWORD
        made["watchdog"] = {"mode": "off"}
        return made

    def forget(self) -> None:
        """Lose all data."""
        shutil.rmtree(self._folder)

    def processes(self, program: str) -> list[psutil.Process]:
        """The processes of a program on it, the first one first."""
        found = []
        for pid in self.host.pids():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if process.name() == program:
                    found.append(process)
        return sorted(found, key=lambda process: process.create_time())

    def signal(self, number: signal.Signals, program: str = "postgres") -> None:
        """Send a signal to all processes of a program on it."""
        for process in self.processes(program):
            with suppress(psutil.Error):
                process.send_signal(number)

    def status(self) -> dict[str, Any]:
        """What its Patroni says of itself; nothing when it does not answer."""
        with suppress(requests.RequestException):
            told: dict[str, Any] = requests.get(f"{self.patroni_url}/patroni", timeout=1).json()
            return told
        return {}

    @property
    def data(self) -> Path:
        """PostgreSQL's folder."""
        return (self.disk.folder if self.is_on_disk else self._folder) / "data"

    @property
    def patroni_url(self) -> str:
        return f"http://{self.host.address}:8008"


class Databases:
    """All three."""

    def __init__(
        self,
        hosts: Sequence[Host],
        folder: Path,
        patroni: Path,
        *,
        small_disks: bool = False,
    ) -> None:
        self._folder = folder
        self._small_disks = small_disks
        self.members = [DatabaseHost(host, hosts, folder, patroni) for host in hosts]

    @contextmanager
    def on_disks(self) -> Iterator[None]:
        """Their folders, empty, each on a disk of its own if they are to be filled. Raises: network.Unable."""
        for member in self.members:
            member.disk.unmount()  # what an earlier run left
        shutil.rmtree(self._folder, ignore_errors=True)
        with ExitStack() as mounted:
            for member in self.members if self._small_disks else ():
                mounted.callback(member.disk.unmount)
                member.disk.mount()
                member.is_on_disk = True
            yield

    def start(self) -> None:
        """With new databases. Raises: TimeoutError."""
        self._start()
        at = ",".join(member.host.address for member in self.members)
        url = f"postgresql://postgres:{PASSWORD}@{at}/postgres?target_session_attrs=read-write&connect_timeout=3"
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(f"CREATE ROLE {USER} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
            for name in (*postgres.DATABASES, "probe"):
                session.execute(f"CREATE DATABASE {name} OWNER {USER}")

    def destroy(self) -> None:
        """Every host has lost its power, and loses its disk."""
        for member in self.members:
            member.forget()

    def restore(self, archive: Archive, *, moment: datetime) -> None:
        """After `destroy`: as they were at a moment. Raises: TimeoutError."""
        for member in self.members:
            member.bootstrap = archive.bootstrap(moment, into=member.data)
        self._start()

    def _start(self) -> None:
        for member in self.members:
            member.start()
        self.await_(lambda: self.primary() is not None, "a primary")
        self.await_(self.is_whole, "two standbys, one of them synchronous")

    def url(self, database: str, *members: DatabaseHost) -> str:
        at = ",".join(member.host.address for member in members or self.members)
        return f"postgresql://{USER}:{PASSWORD}@{at}:5432/{database}?target_session_attrs=read-write"

    def primary(self) -> DatabaseHost | None:
        """The member that says that it is."""
        for member in self.members:
            status = member.status()
            if status.get("role") == "primary" and status.get("state") == "running":
                return member
        return None

    def synchronous(self) -> DatabaseHost | None:
        return next((each for each in self.members if each.status().get("sync_standby")), None)

    def is_whole(self) -> bool:
        """Whether there are a primary and two standbys that stream, one of them synchronous."""
        states = [member.status() for member in self.members]
        streaming = [state for state in states if state.get("replication_state") == "streaming"]
        return (
            self.primary() is not None and len(streaming) == 2 and any(s.get("sync_standby") for s in states)
        )

    def switch(self) -> None:
        """Have Patroni move the primary, as an operator does before maintenance."""
        leader = self.primary()
        if leader is None:
            raise TimeoutError("there is no primary to switch from")
        asked = {"leader": leader.name}
        requests.post(f"{leader.patroni_url}/switchover", json=asked, timeout=30).raise_for_status()

    def await_(
        self, condition: Callable[[], object], what: str, within: float = READY_WITHIN_SECONDS
    ) -> None:
        """Raises: TimeoutError."""
        if not wait_until(condition, within_seconds=within, every_seconds=0.5):
            raise TimeoutError(f"no {what} within {within:g} s")
