"""A PostgreSQL primary and its synchronous standby on loopback ports, as real servers that can be lost for real."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psutil
import psycopg

from tests.support import ending
from tests.support.template import kept_data
from tools.embedded import places, postgres, valkey
from tools.stack.supervision import wait_until

ROOT = Path(__file__).resolve().parents[2]
SOON = 60.0
# The server refuses to run as root: as tools.embedded does, and with this process.
RUN = """
import os, signal, sys
from pathlib import Path
from tools.embedded import privileges, processes
program = sys.argv[2]
privileges.choose(data=Path(sys.argv[1]), needed=(Path(program),)).enter()
processes.die_with_parent(signal.SIGINT)
os.execv(program, sys.argv[2:])
"""
HBA = "".join(f"host {what} all 127.0.0.1/32 trust\n" for what in ("all", "replication"))


def _command(data: Path, program: str, *arguments: str) -> list[str]:
    ours = postgres.installed() / "bin" / program
    binary = str(ours) if ours.exists() else str(shutil.which(program))
    return [sys.executable, "-c", RUN, str(data), binary, *arguments]


@contextmanager
def running_as_a_server(folder: Path, program: str, *arguments: str) -> Iterator[None]:
    """A program that refuses to run as root, as the servers do."""
    with (folder / f"{program}.log").open("w") as log:
        process = subprocess.Popen(
            _command(folder, program, *arguments), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        ending.kill(process)


def answers(url: str) -> bool:
    """Whether a session can be had there."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


class Member:
    """One server, primary or standby."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.port = valkey.free_port()
        self.data = folder / name
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen | None = None

    def url(self, database: str = "crossbook") -> str:
        return f"postgresql://{postgres.ROLE}@127.0.0.1:{self.port}/{database}?connect_timeout=5"

    def start(self) -> None:
        settings = {
            **postgres.SETTINGS,
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "cluster_name": self.name,
            "wal_receiver_status_interval": "1s",  # with its first word a standby is synchronous
            "shared_buffers": "128MB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                _command(self.data, "postgres", "-D", str(self.data), *options),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        assert wait_until(lambda: answers(self.url()), within_seconds=SOON), self.log

    @property
    def log(self) -> str:
        return self._log.read_text()[-3000:]

    def ask(self, sql: str) -> list[tuple]:
        """The rows of a statement, on a session of its own."""
        with psycopg.connect(self.url(), autocommit=True) as session:
            asked = session.execute(sql)
            return asked.fetchall() if asked.description else []

    def signal(self, number: signal.Signals) -> None:
        """To the server and all of its processes at once, as to a machine."""
        assert self._process is not None
        first = psutil.Process(self._process.pid)
        for process in (first, *first.children(recursive=True)):
            process.send_signal(number)

    def end(self) -> None:
        """Kill it, unless it has ended."""
        if self._process is not None:
            ending.kill(self._process)
            self._process = None


class Pair:
    """`primary` and `standby` take turns; no COMMIT is answered before the standby has it."""

    def __init__(self, folder: Path) -> None:
        self.members = [Member(places.absolute(folder), name) for name in ("a", "b")]
        self.primary, self.standby = self.members
        subprocess.run(["cp", "-R", "-p", kept_data().resolve(), self.primary.data], check=True)
        with (self.primary.data / "pg_hba.conf").open("w") as hba:
            hba.write(HBA)
        self.is_whole = False

    def __enter__(self) -> Self:
        self.primary.start()
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.end()

    def url(self, database: str) -> str:
        """For Crossbook: whichever takes writes."""
        at = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"postgresql://{postgres.ROLE}@{at}/{database}?target_session_attrs=read-write"

    def mend(self) -> None:
        """Make the member that was lost the standby, from a new copy."""
        if self.is_whole:
            return
        self.standby.end()
        self._wait_for_standby("")
        shutil.rmtree(self.standby.data, ignore_errors=True)
        copying = ("-d", self.primary.url(), "-D", str(self.standby.data), "-R", "-X", "stream", "-c", "fast")
        subprocess.run(
            _command(self.primary.data, "pg_basebackup", *copying),
            cwd=ROOT,
            env={**os.environ, "PGAPPNAME": self.standby.name},
            check=True,
            capture_output=True,
            timeout=SOON,
        )
        self.standby.start()
        self._wait_for_standby("*")
        assert wait_until(
            lambda: self.primary.ask("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'") != [],
            within_seconds=SOON,
        )
        self.is_whole = True

    def promote(self) -> None:
        """Have the standby take over from a primary that was lost."""
        self.is_whole = False
        self.primary, self.standby = self.standby, self.primary
        [(promoted,)] = self.primary.ask("SELECT pg_promote()")
        assert promoted
        self._wait_for_standby("")

    def _wait_for_standby(self, names: str) -> None:
        self.primary.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.primary.ask("SELECT pg_reload_conf()")
