"""The figures of a report as tables of text: what the terminal shows and what the documents hold are the same ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Report = Mapping[str, Any]

RATES = {
    "tpcb": "tps",
    "hordak": "tps",
    "plain_chain": "orders_per_s",
    "batch": "orders_per_s",
    "single": "orders_per_s",
    "single_with_desk": "orders_per_s",
    "end_to_end": "orders_per_s",
}
NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table: the first column names its rows."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""

    def without_empty_columns(self) -> "Table":
        """The same table without the columns in which no row has anything."""
        kept = [n for n in range(len(self.headings)) if n == 0 or any(row[n] for row in self.rows)]
        headings = tuple(self.headings[n] for n in kept)
        return replace(self, headings=headings, rows=[tuple(row[n] for n in kept) for row in self.rows])


def tables(report: Report) -> Iterator[Table]:
    """Every table for which the report has something."""
    if any(name in report for name in RATES):
        yield _side_by_side(report)
    for name, table in (
        ("demo_rate", _demo_rate),
        ("end_to_end", _end_to_end),
        ("cpu", _cpu),
        ("end_to_end", _memory),
        ("overload", _overload),
        ("streaming", _streaming),
        ("growth", _growth),
        ("desk_result", _desk_result),
    ):
        figures = report.get(name)
        if not figures or "left_out" in figures or (name == "overload" and "run" not in figures):
            continue
        if table is not _memory or "memory_mib" in figures["runs"][0]:
            yield table(figures)


def by_cores(runs: Mapping[str, Mapping[str, Any]]) -> Table:
    """The rate per second on each number of cores, and as a multiple of that on the fewest."""
    fewest = next(iter(runs.values()))["rates"]
    names = dict.fromkeys(name for run in runs.values() for name in run["rates"])
    return Table(
        title="Per second, by cores; in brackets: as a multiple of the fewest cores",
        headings=("", *runs),
        rows=[
            (name, *(_of_fewest(run["rates"].get(name), fewest.get(name)) for run in runs.values()))
            for name in names
        ],
    )


def _of_fewest(rate: float | None, fewest: float | None) -> str:
    return _number(rate) + (f" ({rate / fewest:.2f})" if rate and fewest else "") or NONE


def refusals(report: Report) -> Table | None:
    """Measurements in which not every order was accepted, with the codes of those that were not."""
    rows = [
        (
            load["what"],
            f"{load['offered']:,}",
            f"{load['accepted']:,}",
            f"{load['unavailable']:,}",
            f"{load['refused']:,}",
            f"{load['unanswered']:,}",
            ", ".join(f"{code} {count:,}" for code, count in load["refused_by_code"].items()),
        )
        for load in report.get("loads", [])
        if load["accepted"] < load["offered"]
    ]
    headings = ("", "offered", "accepted", "answered 503", "refused", "unanswered", "codes")
    return Table(title="Orders that were not accepted", headings=headings, rows=rows) if rows else None


def origin(report: Report) -> str:
    """When, where and of which commit the figures are."""
    machine = report["machine"]
    told = [
        f"{report['started_at'].replace('T', ' ').removesuffix('+00:00')} UTC",
        f"commit {report.get('commit') or 'not recorded'}",
        f"{machine['cores']} cores ({machine.get('processor', 'processor not recorded')}), {machine['memory_gib']} GiB",
        f"Python {machine['python']}, PostgreSQL {machine['postgresql']}, fsync {machine['fsync']}",
        f"{'quick' if report['quick'] else 'full'} run"
        + (f" of {report['seconds']:,.0f} s" if "seconds" in report else ""),
    ]
    if "load_average_at_start" in machine:
        told.append(
            f"load average {machine['load_average_at_start']} before and {machine['load_average_at_end']} after it"
        )
    return "; ".join(told)


def _side_by_side(report: Report) -> Table:
    rows = []
    for name, rate in RATES.items():
        if name in report:
            rows.append(_row("batch of 1,000" if name == "batch" else name, report[name], rate, report))
        if name == "batch" and name in report:
            rows.append(_row("batch of 100", report[name].get("of_100", {}), rate, report))
    alone = report.get("single", {}).get("client_alone_per_s")
    return Table(
        title="Side by side, median of the rounds" + (" (quick)" if report["quick"] else ""),
        headings=("", "per second", "p50 ms", "p99 ms", "x tpcb", "x plain_chain", "client CPU"),
        rows=rows,
        note=f"Load client against a no-op server: {alone:,.0f} requests/s." if alone else "",
    ).without_empty_columns()


def _row(label: str, entry: Mapping[str, Any], rate: str, report: Report) -> tuple[str, ...]:
    share, reached = entry.get("client_cpu_share"), entry.get(rate)
    return (
        label,
        _number(reached) or NONE,
        _ms(entry.get("p50_ms")),
        _ms(entry.get("p99_ms")),
        _ratio(reached, report, "tpcb"),
        _ratio(reached, report, "plain_chain"),
        "" if share is None else f"{share:.0%}",
    )


def _demo_rate(figures: Mapping[str, Any]) -> Table:
    run = figures["run"]
    return Table(
        title=f"At the demo's rate: {figures['rate']} orders per second for {run['seconds']:g} s",
        headings=("", "accepted", "settle above venue p50 ms", "p99 ms", "cores while nobody trades"),
        rows=[
            (
                f"{figures['rate']} per second",
                f"{run['accepted']:,}",
                _ms(figures["p50_ms"]) or NONE,
                _ms(figures["p99_ms"]) or NONE,
                f"{sum(figures['idle_cores'].values()):.2f}",
            )
        ],
    )


def _desk_result(figures: Mapping[str, Any]) -> Table:
    markets = figures["markets"]
    rows: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
        ("orders accepted", lambda each: f"{each['run']['accepted']:,} of {each['run']['offered']:,}"),
        ("settle above venue p50, p99 ms", lambda each: ", ".join(_ms(ms) for ms in _above(each["run"]))),
        ("venue orders, misses", lambda each: f"{each['venue_orders']:,}, {each['misses']:,}"),
        ("slippage, bp", lambda each: _basis_points(each, "slippage")),
        ("of it the quote's age", lambda each: _basis_points(each, "quote_age")),
        ("of it the wait for the round", lambda each: _basis_points(each, "wait")),
        ("of it the price's move while it was sent", lambda each: _basis_points(each, "sending")),
        ("of it spread and depth", lambda each: _basis_points(each, "spread_and_depth")),
        ("each order at the touch of its moment, bp", lambda each: _basis_points(each, "limit")),
        ("each order as a venue order, bp", lambda each: _basis_points(each, "order_by_order")),
        ("fees, bp", lambda each: _basis_points(each, "fees")),
        ("fees of a venue order for each, bp", lambda each: _basis_points(each, "order_by_order_fees")),
    )
    return Table(
        title=f"While a recorded market runs, {figures['rate']} orders per second; gains of the notional",
        headings=("", *(f"{each['name']}, {each['speed']} x" for each in markets)),
        rows=[(label, *map(cell, markets)) for label, cell in rows],
    )


def _above(run: Mapping[str, Any]) -> tuple[float | None, float | None]:
    above = run["settle_above_venue_ms"]
    return above["p50"], above["p99"]


def _basis_points(market: Mapping[str, Any], name: str) -> str:
    gained = market["result"][name]["bp"]
    return NONE if gained is None else f"{gained:+.2f}"


def _end_to_end(figures: Mapping[str, Any]) -> Table:
    share = figures["highest_of_best"]
    return Table(
        title="End to end: orders per second",
        headings=(
            *("offered", "accepted", "reported", "answer p99 ms", "settle above venue p50, p99 ms"),
            *("lag at the end", "drained in s", "venue orders", "sustained"),
        ),
        rows=[
            (
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
            for run in figures["runs"]
        ],
        note=""
        if share is None
        else f"Reported at the highest rate offered: {share:.2f} of what the best sustained one reports.",
    )


def _cpu(figures: Mapping[str, Any]) -> Table:
    columns = [
        (f"{rate['offered_per_s']:,}/s ({rate['rate']})", rate["ms"], rate["total_ms"], rate["load_ms"])
        for rate in figures.get("rates", [])
    ]
    columns += [
        (name, figures[name]["ms"], figures[name]["total_ms"], None)
        for name in ("plain_chain", "tpcb")
        if name in figures
    ]
    programs = dict.fromkeys(program for _, ms, _, _ in columns for program in ms)
    rows = [
        (program, *("" if program not in ms else f"{ms[program]:.3f}" for _, ms, _, _ in columns))
        for program in programs
    ]
    rows.append(("together", *(NONE if total is None else f"{total:.3f}" for _, _, total, _ in columns)))
    rows.append(("the client", *("" if load is None else f"{load:.3f}" for *_, load in columns)))
    return Table(
        title="CPU milliseconds for one order or transaction",
        headings=("", *(column[0] for column in columns)),
        rows=rows,
    )


def _memory(figures: Mapping[str, Any]) -> Table:
    runs = figures["runs"]
    return Table(
        title="MiB (PSS) at start, middle and end",
        headings=("at orders/s", *(f"{run['offered_per_s']:,}" for run in runs)),
        rows=[
            (
                name,
                *(
                    " ".join(f"{held:,.0f}" for held in run["memory_mib"].get(name, {"pss": []})["pss"])
                    for run in runs
                ),
            )
            for name in runs[0]["memory_mib"]
        ],
    )


def _overload(figures: Mapping[str, Any]) -> Table:
    run = figures["run"]
    return Table(
        title="Overload: twice what can be taken",
        headings=(
            *("offered", "accepted/s", "reported/s meanwhile", "answered 503", "unanswered"),
            *("accepted p99 ms", "memory", "lost"),
        ),
        rows=[
            (
                f"{run['offered_per_s']:,}",
                f"{run['accepted_per_s']:,.0f}",
                _number(run.get("reported_per_s")) or NONE,
                f"{figures['unavailable_share']:.0%}",
                f"{figures['unanswered_share']:.0%}",
                _ms(figures["p99_ms"]),
                "flat" if figures["memory_flat"] else f"grew by {figures['memory_grew_mib']}",
                f"{figures['lost']:,}",
            )
        ],
    )


def _streaming(figures: Mapping[str, Any]) -> Table:
    rows = [
        (
            f"no orders, listening to {name}",
            *(f"{found[share]:.3f}" for share in ("stream_core_share", "postgres_core_share")),
            f"{found['stream_rss_mib']:,.0f}",
            *("", ""),
        )
        for name, found in figures["idle"].items()
    ]
    rows += [
        (
            f"{figures['rate']} orders/s, {name} listeners",
            *(f"{found[share]:.3f}" for share in ("stream_core_share", "postgres_core_share")),
            *("", _ms(found["p50_ms"]), _ms(found["p99_ms"])),
        )
        for name, found in figures["under_orders"].items()
    ]
    return Table(
        title=f"Streaming: {figures['listeners']:,} listeners",
        headings=("", "stream, cores", "postgres, cores", "stream MiB", "orders p50 ms", "p99 ms"),
        rows=rows,
    )


def _growth(figures: Mapping[str, Any]) -> Table:
    return Table(
        title="Growth: the same with earlier orders in the tables",
        headings=(
            *("earlier orders", "batch/s", "of the first", "end to end/s", "of the first"),
            "settle above venue p99 ms",
        ),
        rows=[
            (
                f"{stage['earlier_orders']:,}",
                *(text for name in ("batch", "end_to_end") for text in _of_first(stage[name])),
                _ms(stage["end_to_end"]["p99_ms"]),
            )
            for stage in figures["stages"]
        ],
    )


def _of_first(entry: Mapping[str, Any]) -> tuple[str, str]:
    share = entry["of_first"]
    return _number(entry["orders_per_s"]) or NONE, NONE if share is None else f"{share:.2f}"


def _number(value: float | None) -> str:
    return f"{value:,.0f}" if value else ""


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _ratio(value: float | None, report: Report, name: str) -> str:
    other = report.get(name, {}).get(RATES[name])
    return f"{value / other:.2f}" if value and other else ""
