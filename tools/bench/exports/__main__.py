"""`python -m tools.bench.exports`: take large files from a web program of its own, and watch the program's memory.

On the databases of the environment, filled before (`python -m tools.bench.pages --orders 5000000`): the list of all
orders as CSV, and files of the day with most orders, as a browser would. Printed are of each file its duration, size
and lines, and the memory of the web process, all that is resident: before, at each quarter of the time, and at most.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from uuid import uuid4

import django
import psutil
import requests
from rich.console import Console
from rich.table import Table

from tools.embedded import hand_in
from tools.stack.supervision import wait_until

PORT = 8741
READY_WITHIN_SECONDS = 90.0
CHUNK_BYTES = 1 << 20
WATCHED_EVERY_SECONDS = 0.5
MIB = 1 << 20
BY = "exports"
# How many of its orders are none of `tools.bench.history`'s, as well.
BUSIEST = """
    SELECT (placed_at AT TIME ZONE 'UTC')::date, count(*) FILTER (WHERE client_order_id NOT LIKE 'history-%')
    FROM counter_syncorder GROUP BY 1 ORDER BY count(*) DESC LIMIT 1
"""


class NotOfTheBench(ValueError):
    """The databases are not ones that the bench alone has filled."""


@dataclass(slots=True)
class Taken:
    """A file that was taken: (seconds, MiB of the web process) again and again, from before the first byte on."""

    name: str
    seconds: float = 0.0
    size: int = 0
    lines: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)

    def memory_at(self, part: float) -> float:
        """MiB when this part of the time had passed; at its beginning, the first that was seen."""
        seen = (mib for at, mib in reversed(self.memory) if at <= part * self.seconds)
        return next(seen, self.memory[0][1])


@contextmanager
def web_served() -> Iterator[tuple[str, psutil.Process]]:
    """A web program on the databases of the environment, with one process, and that process."""
    command = [sys.executable, "-m", "config.web", "--port", str(PORT)]
    environment = {**os.environ, "WEB_PROCESSES": "1", "LOG_LEVEL": "ERROR"}
    with subprocess.Popen(command, env=environment) as process:
        url = f"http://127.0.0.1:{PORT}"
        try:
            assert wait_until(lambda: _answers(url), within_seconds=READY_WITHIN_SECONDS)
            program = psutil.Process(process.pid)
            workers = program.children(recursive=True) or [program]
            yield url, max(workers, key=lambda each: each.memory_info().rss)
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/v1/time", timeout=5).ok
    except requests.RequestException:
        return False


def take(
    name: str, url: str, session: requests.Session, process: psutil.Process, *, most_seconds: float
) -> Taken:
    """Read one file to its end, or for so long. Raises: HTTPError."""
    taken, began = Taken(name), time.monotonic()

    def watch() -> None:
        taken.memory.append((time.monotonic() - began, process.memory_info().rss / MIB))

    watch()
    with session.get(url, stream=True, timeout=600) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(CHUNK_BYTES):
            taken.size += len(chunk)
            taken.lines += chunk.count(b"\n")
            if time.monotonic() - began - taken.memory[-1][0] >= WATCHED_EVERY_SECONDS:
                watch()
            if time.monotonic() - began > most_seconds:
                taken.name += " (cut)"
                break
    watch()
    taken.seconds = time.monotonic() - began
    return taken


@contextmanager
def staff_session() -> Iterator[requests.Session]:
    """Logged in as a superuser of the environment's databases, who is gone afterwards."""
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import Client

    user = get_user_model().objects.create_user(f"{BY}-{uuid4().hex}", is_staff=True, is_superuser=True)
    client = Client()
    try:
        client.force_login(user)
        session = requests.Session()
        session.trust_env = False
        name = settings.SESSION_COOKIE_NAME
        session.cookies.set(name, client.cookies[name].value)
        yield session
    finally:
        client.logout()
        user.delete()


def busiest_day() -> date:
    """The day with most orders. Raises: NotOfTheBench where it is not one that the bench alone has filled."""
    from cockpit.models import DayStatement
    from infra.db.rows import rows_of

    found = rows_of("default", BUSIEST)
    if not found:
        raise NotOfTheBench("there are no orders: fill the databases first")
    [(day, others)] = found
    if others:
        raise NotOfTheBench(f"{others} orders of {day} are not the bench's")
    if DayStatement.objects.exists():
        raise NotOfTheBench("a day has been stated: people work with these databases")
    return day


@contextmanager
def statement_of(day: date) -> Iterator[int]:
    """A statement of the day, by which its files are asked for; nothing is added up, and it is gone afterwards."""
    from django.db import connection, transaction

    from cockpit import days
    from cockpit.models import DayStatement
    from infra.coordination import clock

    content = {"day": day.isoformat(), "accounts": [], "trial": [], "results": []}
    digest, now = days.digest_of(content), clock.of("default").now()
    made = DayStatement.objects.create(day=day, content=content, digest=digest, made_by=BY, made_at=now)
    try:
        yield made.pk
    finally:
        # Statements are append-only: one of which nothing was added up would hold up the close of its day for good.
        with transaction.atomic(), connection.cursor() as cursor:
            # What still waits to be checked holds up ALTER TABLE.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE cockpit_daystatement DISABLE TRIGGER USER")
            cursor.execute("DELETE FROM cockpit_daystatement WHERE id = %s", [made.pk])
            cursor.execute("ALTER TABLE cockpit_daystatement ENABLE TRIGGER USER")


def main() -> int:
    """Exit code 0 when every file came whole; 2 for databases that the bench has not filled."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.exports", description=__doc__)
    parser.add_argument(
        "files",
        nargs="*",
        default=["orders", "orders.parquet", "orders.csv"],
        help="orders: the whole list; NAME.csv, NAME.parquet: a file of the day with most orders",
    )
    parser.add_argument("--most-seconds", type=float, default=3600.0, help="read no file for longer")
    options = parser.parse_args()
    hand_in(os.environ)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("LOG_LEVEL", "CRITICAL")
    django.setup()
    from counter.models import SyncOrder

    try:
        day = busiest_day()
    except NotOfTheBench as refusal:
        print(f"Refused: {refusal}.", file=sys.stderr)
        return 2
    console = Console(width=150, highlight=False)
    table = Table("file", "s", "MB", "lines", "MiB before", "25 %", "50 %", "75 %", "at the end", "most")
    with staff_session() as session, statement_of(day) as pk, web_served() as (url, process):
        pages = {"orders": "/admin/counter/syncorder/export.csv"}
        for name in options.files:
            path = pages.get(name) or f"/admin/days/{pk}/rows/{name}"
            taken = take(name, url + path, session, process, most_seconds=options.most_seconds)
            quarters = (f"{taken.memory_at(part):.0f}" for part in (0, 0.25, 0.5, 0.75, 1))
            most = f"{max(mib for _, mib in taken.memory):.0f}"
            lines = f"{taken.lines:,}" if not name.endswith("parquet") else ""
            table.add_row(
                taken.name, f"{taken.seconds:.1f}", f"{taken.size / 1e6:.1f}", lines, *quarters, most
            )
    console.print(table)
    console.print(f"{SyncOrder.objects.count():,} orders; the day is {day}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
