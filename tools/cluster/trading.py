"""What the driver asks of Crossbook's own code: customers, options, rows, and the audit."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
from django.db import DatabaseError, connections
from rich.console import Console

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

import audit  # noqa: E402 - models can be imported only now
from counter.public_ids import Kind, row_id  # noqa: E402
from infra.db.rows import rows_of  # noqa: E402
from settlement.venues.ccxt_venue import venue  # noqa: E402
from tools.demo import customers, figures  # noqa: E402
from tools.demo.market import tradable_symbols  # noqa: E402

POLL_SECONDS = 0.5


def ready(run: str, count: int) -> tuple[list[str], list[str]]:
    """Tokens of customers with USDT, and options to trade."""
    symbols = tradable_symbols(by_coin=3)
    now = datetime.now(UTC)
    tokens = [
        customers.fund_one(
            reference=f"{run}-{number}", amount=customers.DEPOSIT_USDT * 20, run_id=run, now=now
        )[1]
        for number in range(count)
    ]
    return tokens, symbols


def demonstrated(url: str, report: Path) -> int:
    """The demo's exit code; what it tells is written to `report` too."""
    from tools.demo.run import run
    from tools.demo.sizes import read_sizes

    return run(console=Console(), sizes=read_sizes(os.environ), web_url=url, report_path=report)


def rows(using: str, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    return rows_of(using, sql, parameters)


def placed_row(order_id: str) -> int:
    """The row of an order by the id that its customer was told."""
    return row_id(Kind.ORDER, order_id)


def settled(*, within_seconds: float) -> bool:
    """Whether all orders are settled and reported in time."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            if figures.all_reported():
                return True
        except DatabaseError:
            for connection in connections.all():
                connection.close()
        time.sleep(POLL_SECONDS)
    return False


def audited() -> dict[str, int]:
    """What the audit finds broken, and in flight, of all invariants."""
    report = audit.run(now=datetime.now(UTC), venue=venue())
    return {"broken": report.broken, "in_flight": report.in_flight, "unchecked": len(report.unchecked)}
