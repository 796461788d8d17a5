"""The figures as a table for people, each beside the two that it is held against."""

from typing import Any

from rich.console import Console
from rich.table import Table

RATES = {
    "tpcb": "tps",
    "hordak": "tps",
    "plain_chain": "orders_per_s",
    "batch": "orders_per_s",
    "single": "orders_per_s",
    "end_to_end": "orders_per_s",
}


def show(report: dict[str, Any], *, console: Console) -> None:
    """Print what the report holds."""
    machine = report["machine"]
    console.print(
        "{cores} cores, {memory_gib} GiB, Python {python}, PostgreSQL {postgresql}, fsync {fsync}, ".format(
            **machine
        )
        + f"{report['started_at']}, {report['seconds']:.0f} s",
        soft_wrap=True,
    )
    table = Table(title="Side by side" + (", quick" if report["quick"] else ""), title_justify="left")
    for heading in ("", "a second", "p50 ms", "p99 ms", "x tpcb", "x plain_chain"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, rate in RATES.items():
        if name in report:
            entry = report[name]
            table.add_row(
                name,
                f"{entry[rate]:,.0f}",
                _ms(entry.get("p50_ms")),
                _ms(entry.get("p99_ms")),
                _ratio(entry[rate], report, "tpcb"),
                _ratio(entry[rate], report, "plain_chain"),
            )
    console.print(table)
    for trouble in report["trouble"]:
        console.print(trouble, style="bold red")


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _ratio(value: float, report: dict[str, Any], name: str) -> str:
    return f"{value / report[name][RATES[name]]:.2f}" if report.get(name) else ""
