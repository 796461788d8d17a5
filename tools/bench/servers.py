"""The one PostgreSQL and the one Valkey that everything in a run shares, and the paper venue of each stack.

They are started as the stack starts its own, through `tools.embedded`, but belong to the bench: so stacks and peers
can come and go on the same server. They end with the bench, however it ends.
"""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tools.embedded import keys, places, postgres, processes, valkey
from tools.stack import lifecycle, readiness
from tools.stack.programs import PAPER_ORDERS_PER_10S

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_SECONDS = 600.0  # of each program: on a busy machine it takes long, and is said
# So much that nothing runs dry; the spot wallets' balances lie within the treasury's bands.
FUNDS = ("FUNDING:USDT=900000000", "FUNDING:BTC=90000", "FUNDING:ETH=900000")


class ServerFailed(Exception):
    """A server of the bench did not come up; the message ends with its log."""


# Few customers send all there is, and prices stand still while the stack is paused: neither what bounds one customer
# nor what guards against an outage is what is measured. README.md says what each is for.
STACK_SETTINGS = {
    "CUSTOMER_CONTRACTS": "1000000000",
    "CUSTOMER_NOTIONAL_USDT": "1000000000000",
    "CUSTOMER_ORDERS_PER_S": "1000000",
    "SERIES_CONTRACTS": "1000000000",
    "SERIES_NOTIONAL_USDT": "1000000000000",
    "INSTANT_PAYOUT_FLOAT_USDT": "1000000000000",
    "WIDEN_ABOVE_EXPOSURE_USDT": "1000000000000",
    "HALT_ABOVE_EXPOSURE_USDT": "1000000000000",
    "PRICE_TOLERANCE_RATE": "0.9",
    "QUOTE_STALE_AFTER_SECONDS": "60",
    "CLOSE_STALE_AFTER_SECONDS": "60",
    "QUOTES_STALE_WIDEN_AFTER_SECONDS": "60",
    "QUOTES_STALE_HALT_AFTER_SECONDS": "120",
    "DESK_SILENT_WIDEN_AFTER_SECONDS": "300",
    "DESK_SILENT_HALT_AFTER_SECONDS": "600",
    "UNSETTLED_WIDEN_AFTER_SECONDS": "600",
    "UNSETTLED_HALT_AFTER_SECONDS": "1200",
    "REOPEN_AFTER_SECONDS": "1",
}


@dataclass
class Servers:
    """Addresses of the servers that run, and their processes by name."""

    var_dir: Path
    valkey_port: int
    venue_port: int
    web_port: int
    keys: dict[str, str]
    tell: Callable[[str], object] = lambda line: None
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def database_url(self, name: str) -> str:
        return postgres.url(var_dir=self.var_dir, database=name)

    def broker_url(self, database: int = 0) -> str:
        return valkey.url(var_dir=self.var_dir, port=self.valkey_port, database=database)

    @property
    def environment(self) -> dict[str, str]:
        """What every stack of this run is given: the same addresses for each, one after the other."""
        return self.keys | {
            "DATABASE_URL": self.database_url("crossbook"),
            "DESK_DATABASE_URL": self.database_url("desk"),
            "BROKER_URL": self.broker_url(),
            "VENUE_URL": f"http://127.0.0.1:{self.venue_port}",
            "VENUE_ORDERS_PER_10S": str(PAPER_ORDERS_PER_10S),
            "PORT": str(self.web_port),
            **STACK_SETTINGS,
        }

    def new_databases(self, *names: str) -> None:
        """Make the databases anew, empty."""
        with psycopg.connect(self.database_url("postgres"), autocommit=True) as connection:
            for name in names:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                connection.execute(f"CREATE DATABASE {name}")

    def postgres_setting(self, name: str) -> str:
        """The server's own word on one of its settings."""
        with psycopg.connect(self.database_url("postgres")) as connection:
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert row is not None
            return row[0]

    @contextmanager
    def venue(self, var_dir: Path, *further: str) -> Iterator[None]:
        """A paper venue whose account has no history, for one stack, with these further options."""
        journal = places.private_folder(var_dir / "venue") / "journal.jsonl"
        journal.unlink(missing_ok=True)
        options = [f"--fund={fund}" for fund in FUNDS]
        self._start(
            "venue",
            "tools.paper_venue",
            *("--port", str(self.venue_port), "--journal", str(journal)),
            # No jumps: a leap of the index halts its coin.
            *("--orders-per-10s", str(PAPER_ORDERS_PER_10S), "--jumps-per-hour", "0", *options, *further),
        )
        try:
            self._wait("venue", lambda: readiness.accepts(self.environment["VENUE_URL"]))
            yield
        finally:
            self._end("venue")

    def _start(self, name: str, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "tools.stack.launch", name, "SIGTERM", "--"]
        if module == "tools.embedded":
            command = []  # it marks itself, and knows how its server has to be ended
        with places.log_file(self.var_dir, name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*command, sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=os.environ | processes.mark(var_dir=self.var_dir, program=name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self, name: str, answers: Callable[[], bool]) -> None:
        process = self.processes[name]
        readiness.wait_telling(
            lambda: process.poll() is not None or answers(),
            what=name,
            within_seconds=READY_WITHIN_SECONDS,
            tell=self.tell,
        )
        if process.poll() is not None or not answers():
            raise ServerFailed(f"{name} does not answer\n{readiness.log_tail(self.var_dir, name)}")

    def _end(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(
            signal.SIGINT if name == "postgres" else signal.SIGTERM
        )  # it would wait for its clients
        process.wait()


def remove(var_dir: Path) -> None:
    """Delete all data of a run, and what still runs of it."""
    for stack in var_dir.glob("*/supervisord.conf"):
        lifecycle.remove(var_dir=stack.parent)
    lifecycle.remove(var_dir=var_dir)


@contextmanager
def servers(var_dir: Path, tell: Callable[[str], object] = lambda line: None) -> Iterator[Servers]:
    """Start both servers on new data; what an earlier run left in `var_dir` is removed first. Raises: ServerFailed.

    `tell` hears what takes long.
    """
    var_dir = places.absolute(var_dir)
    remove(var_dir)
    var_dir.mkdir(parents=True)
    places.private_folder(var_dir / "log")
    own = {name: secrets.token_urlsafe(keys.KEY_BYTES) for name in keys.PUBLISHED}
    running = Servers(
        var_dir=var_dir,
        valkey_port=valkey.free_port(),
        venue_port=valkey.free_port(),
        web_port=valkey.free_port(),
        keys=own,
        tell=tell,
    )
    common = ("--var-dir", str(var_dir))
    try:
        running._start("postgres", "tools.embedded", *common, "postgres")
        running._start("valkey", "tools.embedded", *common, "valkey", "--port", str(running.valkey_port))
        running._wait("postgres", lambda: readiness.databases_answer([running.database_url("postgres")]))
        running._wait("valkey", lambda: readiness.broker_answers(running.broker_url()))
        yield running
    finally:
        for name in list(running.processes):
            running._end(name)
        lifecycle.stop(var_dir=var_dir)
