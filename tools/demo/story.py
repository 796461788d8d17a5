"""What came of the run: the report for machines and the story for people."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from rich.console import Console
from rich.table import Table

from audit.findings import Report
from audit.table import show
from demo import figures
from demo.load import Sent


def report_of(sent: Sent, start: figures.Start, audited: Report) -> dict[str, Any]:
    """The content of `demo-report.json`: counts, milliseconds, coin and USDT amounts as text."""
    orders = figures.order_rows(start)
    settle_ms = figures.settle_ms_by_order(start)
    venue_ms = figures.venue_ms_by_order(settings.COUNTER_SOURCE, list(settle_ms))
    above_ms = [settle_ms[order] - venue_ms.get(order, 0.0) for order in settle_ms]
    pipeline = figures.pipeline(start, settings.COUNTER_SOURCE)
    netting = figures.netting(start)
    spread = sum((row[3] for row in orders), Decimal(0))
    slippage, fees, rounding = figures.results(start)
    return {
        "run": start.run_id,
        "orders": {
            "submitted": sent.submitted,
            "accepted": pipeline.accepted,
            "rejected": sum(sent.rejected.values()),
            "settled": pipeline.settled,
            "reported": pipeline.reported,
            "unanswered": sent.unanswered,
            "asked_again": sent.repeated,
            "rejected_by_code": sent.rejected,
        },
        "latency_ms": {
            "accept": figures.percentiles(sent.answer_ms),
            "settle": figures.percentiles(list(settle_ms.values())),
            "venue": figures.percentiles(list(venue_ms.values())),
            "settle_above_venue": figures.percentiles(above_ms),
        },
        "venue": {
            "orders": sum(coin["venue_orders"] for coin in netting.values()),
            "fills": sum(coin["fills"] for coin in netting.values()),
        },
        "netting": netting,
        "pnl_usdt": {
            "spread": str(spread),
            "slippage": str(slippage),
            "fees": str(-fees),
            "rounding": str(rounding),
            "net": str(spread + slippage - fees + rounding),
        },
        "audit": {"broken": audited.broken, "in_flight": audited.in_flight, "unchecked": audited.unchecked},
    }


def tell(console: Console, report: dict[str, Any], audited: Report) -> bool:
    """Print the story; whether every accepted order was settled and reported and nothing is broken."""
    orders, latency = report["orders"], report["latency_ms"]
    table = Table(title="What happened", show_header=False, title_justify="left")
    table.add_row("orders submitted", f"{orders['submitted']:,}")
    table.add_row("accepted, settled, reported", "{accepted:,}, {settled:,}, {reported:,}".format(**orders))
    table.add_row(
        "refused", ", ".join(f"{code} {n}" for code, n in orders["rejected_by_code"].items()) or "none"
    )
    for name, meaning in (
        ("accept", "answer to the customer"),
        ("settle", "order to settled"),
        ("venue", "of which the venue took"),
        ("settle_above_venue", "order to settled, above the venue"),
    ):
        table.add_row(meaning, "p50 {p50} ms, p99 {p99} ms".format(**latency[name]))
    for coin, netted in report["netting"].items():
        table.add_row(
            f"{coin} netting",
            "{orders} orders, {venue_orders} venue orders, crossed {crossed}, converted {converted}".format(
                **netted
            ),
        )
    table.add_row(
        "result in USDT",
        "spread {spread}, slippage {slippage}, fees {fees}, rounding {rounding}, net {net}".format(
            **report["pnl_usdt"]
        ),
    )
    table.add_row("audit", "{broken} broken, {in_flight} in flight".format(**report["audit"]))
    console.print(table)
    show(audited, console=console)
    complete = (
        orders["accepted"] == orders["settled"] == orders["reported"]
        and orders["unanswered"] == 0
        and audited.broken == 0
        and not audited.unchecked
        and orders["accepted"] > 0
    )
    if complete:
        console.print(
            "[bold green]Every accepted order is settled and reported, and the books balance.[/bold green]"
        )
    else:
        console.print("[bold red]Not everything came through: see the table above and var/log.[/bold red]")
    return complete
