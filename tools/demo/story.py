"""What came of the run: the report for machines and the story for people."""

from collections import Counter
from decimal import Decimal
from typing import Any

from django.conf import settings
from rich.console import Console
from rich.table import Table

from audit.findings import Report
from audit.table import show
from counter.api.codes import CODES
from tools.demo import figures
from tools.demo.customers import PAUPER_USDT
from tools.demo.sent import CANNOT_PAY, Sent


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
            "rejected": sent.refused.total(),
            "settled": pipeline.settled,
            "reported": pipeline.reported,
            "unanswered": len(sent.without_outcome),
            "asked_again": sent.repeated,
            "rejected_by_code": dict(sent.refused),
            "rejected_as_planned": sent.refused_as_planned,
        },
        "latency_ms": {
            "accept": figures.percentiles([seconds * 1000 for seconds in sent.outcome_seconds]),
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


def tell(console: Console, report: dict[str, Any], audited: Report, *, logs: str) -> bool:
    """Print the story; whether every accepted order was settled and reported and nothing is broken.

    `logs` names where to look if not.
    """
    console.print(_orders(report))
    if report["netting"]:
        console.print(_netting(report["netting"]))
    console.print(_result(report["pnl_usdt"]))
    show(audited, console=console)
    complete = _is_complete(report["orders"], audited)
    if complete:
        console.print(
            "[bold green]Every accepted order is settled and reported, and the books balance.[/bold green]"
        )
    else:
        console.print(
            f"[bold red]Not everything came through: see the tables above and {logs}.[/bold red]",
            soft_wrap=True,
        )
    return complete


def _is_complete(orders: dict[str, Any], audited: Report) -> bool:
    return (
        orders["accepted"] == orders["settled"] == orders["reported"] > 0
        and orders["unanswered"] == 0
        and audited.broken == 0
        and not audited.unchecked
    )


def _orders(report: dict[str, Any]) -> Table:
    orders, latency = report["orders"], report["latency_ms"]
    table = Table(title="The orders", show_header=False, title_justify="left")
    table.add_row("sent", f"{orders['submitted']:,}")
    table.add_row("accepted, settled, reported", "{accepted:,}, {settled:,}, {reported:,}".format(**orders))
    if planned := orders["rejected_as_planned"]:
        table.add_row("refused as planned", f"{planned:,}: one customer has only {PAUPER_USDT} USDT")
    others = Counter(orders["rejected_by_code"])
    others.subtract({CANNOT_PAY: planned})
    for code, count in others.items():
        if count:
            table.add_row("refused", f"{count:,}: {code}. {CODES[code].meaning}")
    if orders["unanswered"]:
        table.add_row("without an answer", f"{orders['unanswered']:,}")
    for name, meaning in (
        ("accept", "answer to the customer"),
        ("settle", "accepted until settled"),
        ("venue", "  at the venue"),
        ("settle_above_venue", "  in Crossbook"),
    ):
        table.add_row(meaning, "p50 {p50} ms, p99 {p99} ms".format(**latency[name]))
    return table


def _netting(netting: dict[str, dict[str, Any]]) -> Table:
    """One column a coin: what crossed inside the desk, what was left for the venue, what that saved."""
    table = Table(
        title="Netting: only the difference of opens and closes goes to the venue", title_justify="left"
    )
    table.add_column()
    for coin in netting:
        table.add_column(coin, justify="right")
    for meaning, cell in (
        ("orders settled", "{orders:,}"),
        ("coin needed by opens", "{bought} {coin}"),
        ("coin given by closes", "{sold} {coin}"),
        ("crossed inside the desk", "{crossed} {coin}"),
        ("converted at the venue", "{converted} {coin}"),
        ("  venue orders", "{venue_orders:,}"),
        ("  venue fees", "{fees:.2f} USDT"),
        ("fees saved by netting, about", "{saved} USDT"),
    ):
        table.add_row(
            meaning,
            *(
                cell.format(
                    coin=coin,
                    fees=Decimal(netted["fees_usdt"]),
                    saved=netted["fees_saved_usdt"] or "?",
                    **netted,
                )
                for coin, netted in netting.items()
            ),
        )
    return table


def _result(pnl: dict[str, str]) -> Table:
    table = Table(title="The desk's result, USDT", show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for name, meaning in (
        ("spread", "spread that customers paid"),
        ("slippage", "venue's price against the quoted one"),
        ("fees", "venue's fees, less what customers bore"),
        ("rounding", "rounding"),
        ("net", "total"),
    ):
        table.add_row(meaning, f"{Decimal(pnl[name]):+.6f}", style="bold" if name == "net" else None)
    return table
