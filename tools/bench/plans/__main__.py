"""`python -m tools.bench.plans`: run the operations, show how each statement reads its tables, and judge it."""

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from rich.console import Console
from rich.table import Table

from tools.embedded import hand_in

ORDERS_AT_ONCE = 1000


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing: the answers are checked where they are asked for."""


@contextmanager
def counter_served() -> Iterator[str]:
    """Counter's HTTP API on a free port of this process, for the desk to call."""
    from django.core.wsgi import get_wsgi_application

    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def venue_served() -> Iterator[str]:
    """The venue of the environment, or a paper venue that goes on from its journal, as the stack's would."""
    from django.conf import settings

    if settings.VENUE_URL:
        yield settings.VENUE_URL
        return
    journal = settings.VAR_DIR / "venue" / "journal.jsonl"
    journal.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tools.paper_venue", "--port", "0", "--journal", str(journal)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def main() -> int:
    """Exit code 1 when a statement is faulty."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.plans", description=__doc__)
    parser.add_argument("--orders", type=int, default=0, help="finished orders to fill up to first")
    wanted = parser.parse_args().orders
    hand_in(os.environ)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    django.setup()
    from django.conf import settings

    settings.ALLOWED_HOSTS.append("testserver")
    with counter_served() as settings.COUNTER_URL, venue_served() as venue_url:
        return _judge(wanted, venue_url)


def fill_up(wanted: int) -> None:
    """Add finished orders until there are so many."""
    from counter.models import SyncOrder
    from tools.bench.history import fill

    missing = wanted - SyncOrder.objects.count()
    if missing > 0:
        fill(orders=missing + missing % 2, environment=dict(os.environ))


def _judge(wanted: int, venue_url: str) -> int:
    from django.conf import settings

    from settlement.venues.ccxt_venue import CcxtVenue
    from tools.bench.plans import judging, operations, recording
    from tools.bench.plans.ground import Ground

    fill_up(wanted)
    venue = CcxtVenue(
        client=settings.VENUE,
        url=venue_url,
        api_key=settings.VENUE_API_KEY,
        api_secret=settings.VENUE_API_SECRET,
        timeout_seconds=settings.VENUE_TIMEOUT_SECONDS,
    )
    recorder = recording.Recorder()
    with recorder.installed():
        operations.run_all(Ground(venue=venue, orders=ORDERS_AT_ONCE, named=recorder.during))
    console = Console(width=200, highlight=False)
    table = Table(
        "operation",
        "statement",
        "large tables are read by",
        "planned",
        "rows",
        "in vain",
        "planning ms",
        "ms",
    )
    large, faulty = judging.large_tables(), 0
    for explained in recorder.explained:
        found = [] if explained.operation in operations.READS_ALL else judging.faults(explained, large)
        faulty += bool(found)
        nodes = [node for node in judging.nodes(explained.custom) if node.table in large]
        if nodes or found:
            columns = zip(*((str(n), n.rows_planned, n.rows, n.rows_in_vain) for n in nodes), strict=True)
            shown = [
                "\n".join(c if isinstance(c, str) else f"{c:,.0f}" for c in column) for column in columns
            ]
            sql = " ".join(explained.sql.split())[:60]
            table.add_row(
                explained.operation,
                sql,
                *shown,
                *(f"{ms:.1f}" for ms in (explained.planning_ms, explained.execution_ms)),
            )
        for fault in found:
            table.add_row("", f"[red]{fault}[/]")
    console.print(table)
    console.print(f"{len(recorder.explained)} statements, {faulty} of them faulty")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
