"""The figures as tables for people: each beside the two that it is held against, and red where it misses its aim."""

from typing import Any

from rich.console import Console
from rich.table import Table

from bench.aims import Aim, aims

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
    machine = "{cores} cores, {memory_gib} GiB, Python {python}, PostgreSQL {postgresql}, fsync {fsync}"
    console.print(
        f"{machine.format(**report['machine'])}; {report['started_at']}, took {report['seconds']:.0f} s",
        soft_wrap=True,
    )
    console.print(_side_by_side(report))
    for name, table in (
        ("end_to_end", _end_to_end),
        ("end_to_end", _programs),
        ("overload", _overload),
        ("streaming", _streaming),
        ("growth", _growth),
    ):
        if report.get(name) and "left_out" not in report[name]:
            console.print(table(report[name]))
    if found := aims(report):
        console.print(_aims(found))
    for name in ("batch", "single"):
        if name in report and report[name].get("client_ran_dry"):
            console.print(
                f"{name}: the load ran out of orders, so this is its limit, not the server's", style="red"
            )
    audits = report["audits"]
    console.print(f"{len(audits)} audits, {sum(audit['broken'] for audit in audits)} broken")
    for trouble in report["trouble"]:
        console.print(trouble, style="bold red", markup=False)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def _side_by_side(report: dict[str, Any]) -> Table:
    title = "Side by side, median of the rounds" + (" (quick)" if report["quick"] else "")
    table = _table(title, "", "a second", "p50 ms", "p99 ms", "x tpcb", "x plain_chain", "client CPU")
    for name, rate in RATES.items():
        if name in report:
            _add(table, "batch of 1,000" if name == "batch" else name, report[name], rate, report)
        if name == "batch" and name in report:
            _add(table, "batch of 100", report[name]["of_100"], rate, report)
    if "single" in report:
        alone = report["single"]["client_alone_per_s"]
        table.caption = f"the client alone, at a server that only answers: {alone:,.0f} requests/s"
    return table


def _add(table: Table, label: str, entry: dict[str, Any], rate: str, report: dict[str, Any]) -> None:
    share = entry.get("client_cpu_share")
    table.add_row(
        label,
        f"{entry[rate]:,.0f}",
        _ms(entry.get("p50_ms")),
        _ms(entry.get("p99_ms")),
        _ratio(entry[rate], report, "tpcb"),
        _ratio(entry[rate], report, "plain_chain"),
        "" if share is None else f"{share:.0%}",
    )


def _end_to_end(figures: dict[str, Any]) -> Table:
    table = _table(
        "End to end: orders a second",
        *("offered", "accepted", "reported", "answer p99 ms", "settle above venue p50, p99 ms"),
        *("lag at the end", "drained in s", "venue orders", "sustained"),
    )
    for run in figures["runs"]:
        table.add_row(
            f"{run['offered_per_s']:,}",
            f"{run['accepted_per_s']:,.0f}",
            f"{run['reported_per_s']:,.0f}",
            _ms(run["answer_ms"]["p99"]),
            f"{_ms(run['settle_above_venue_ms']['p50'])}, {_ms(run['settle_above_venue_ms']['p99'])}",
            f"{run['lag_orders']:,}",
            "never" if run["drained_seconds"] is None else f"{run['drained_seconds']:.1f}",
            f"{run['venue_orders']:,}",
            "yes" if run["sustained"] else "no",
        )
    return table


def _programs(figures: dict[str, Any]) -> Table:
    runs = figures["runs"]
    table = _table(
        "CPU seconds; MiB (PSS) at start, middle, end",
        *("at orders/s", *(f"{run['offered_per_s']:,}" for run in runs)),
    )
    for name in runs[0]["cpu_seconds"]:
        cells = []
        for run in runs:
            held = run["memory_mib"].get(name, {"pss": []})["pss"]
            cells.append(
                f"{run['cpu_seconds'].get(name, 0.0):,.1f}; {' '.join(f'{each:,.0f}' for each in held)}"
            )
        table.add_row(name, *cells)
    return table


def _overload(figures: dict[str, Any]) -> Table:
    run = figures["run"]
    table = _table(
        "Overload: twice what can be taken",
        *("offered", "accepted/s", "answered 503", "unanswered", "accepted p99 ms", "memory", "lost"),
    )
    table.add_row(
        f"{run['offered_per_s']:,}",
        f"{run['accepted_per_s']:,.0f}",
        f"{figures['unavailable_share']:.0%}",
        f"{figures['unanswered_share']:.0%}",
        _ms(figures["p99_ms"]),
        "flat" if figures["memory_flat"] else f"grew by {figures['memory_grew_mib']}",
        f"{figures['lost']:,}",
    )
    return table


def _streaming(figures: dict[str, Any]) -> Table:
    table = _table(
        f"Streaming: {figures['listeners']:,} listeners",
        *("", "stream, cores", "postgres, cores", "stream MiB", "orders p50 ms", "p99 ms"),
    )
    for name, found in figures["idle"].items():
        table.add_row(
            f"no orders, listening to {name}",
            *(f"{found[share]:.3f}" for share in ("stream_core_share", "postgres_core_share")),
            f"{found['stream_rss_mib']:,.0f}",
            *("", ""),
        )
    for name, found in figures["under_orders"].items():
        table.add_row(
            f"{figures['rate']} orders/s, {name} listeners",
            *(f"{found[share]:.3f}" for share in ("stream_core_share", "postgres_core_share")),
            *("", _ms(found["p50_ms"]), _ms(found["p99_ms"])),
        )
    return table


def _growth(figures: dict[str, Any]) -> Table:
    table = _table(
        "Growth: the same with earlier orders in the tables",
        *("earlier orders", "batch/s", "of empty", "end to end/s", "of empty", "settle above venue p99 ms"),
    )
    for stage in figures["stages"]:
        batch, full = stage["batch"], stage["end_to_end"]
        table.add_row(
            f"{stage['earlier_orders']:,}",
            f"{batch['orders_per_s']:,.0f}",
            f"{batch['of_empty']:.2f}",
            f"{full['orders_per_s']:,.0f}",
            f"{full['of_empty']:.2f}",
            _ms(full["p99_ms"]),
        )
    return table


def _aims(found: list[Aim]) -> Table:
    table = _table("Aims", "", "wanted", "measured")
    for aim in found:
        table.add_row(aim.what, aim.wanted, f"[{'green' if aim.is_met else 'bold red'}]{aim.measured}[/]")
    return table


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _ratio(value: float, report: dict[str, Any], name: str) -> str:
    return f"{value / report[name][RATES[name]]:.2f}" if report.get(name) else ""
