"""`python -m tools.bench.write_figures [--from FILE]`: what the bench measured, into the documents that show it.

Takes var/bench.json, and var/bench-cores-N.json of runs on some cores, keeps what the documents need of them as
docs/figures.json, and writes the tables of README.md, docs/performance.md and docs/guarantees.md anew. What has not
been measured since stays as it is recorded. Exit code 1, and nothing written, for a run that was not in order.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.bench.tables import RATES, Table, by_cores, origin, tables

ROOT = Path(__file__).resolve().parents[2]
MOST_CORES = 64  # of which reports are looked for
REPORT = ROOT / "var" / "bench.json"
RECORDED = ROOT / "docs" / "figures.json"
# What the documents do not show.
NOT_KEPT = {"audits", "loads", "planned_seconds", "took_seconds"}
# What was asked for: docs/guarantees.md.
ASKED_MS, ASKED_ORDERS_PER_S = 100, 10_000
# What the rows of the first table are: tools/bench/README.md says more.
ROWS = (
    "`tpcb`: pgbench. `hordak`: one double-entry transaction per order in django-hordak. `plain_chain`: plain Django\n"
    "and Celery. `batch`, `single`: many orders per request, or one; counter alone. `end_to_end`: until reported."
)
NOT_KEPT_OF_RUN = {"memory_mib", "settle_ms", "cpu_seconds"}
# What is kept of a run on some cores, beside its figures a second.
KEPT_OF_CORES = {"started_at", "commit", "machine", "quick", "seconds"}


class NotInOrder(Exception):
    """No document may show this run's figures, or the document has no place for them."""


def main() -> int:
    """Record and write. See the module."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.write_figures", description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, help="a report of the bench")
    source = parser.parse_args().source
    try:
        before = json.loads(RECORDED.read_text())
        reports = {count: _read(report_of_cores(count)) for count in range(1, MOST_CORES + 1)}
        if source is None and not REPORT.exists() and any(reports.values()):
            recorded = dict(before)
        else:
            recorded = recorded_of(json.loads((source or REPORT).read_text()))
        recorded["by_cores"] = recorded_by_cores(before.get("by_cores", {}), reports)
        written = {path: written_into(path.read_text(), recorded) for path in DOCUMENTS}
    except (OSError, ValueError, NotInOrder) as error:
        print(f"nothing was written: {error}", file=sys.stderr)
        return 1
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")
    for path, text in written.items():
        path.write_text(text)
        print(f"{path.relative_to(ROOT)}: figures of {recorded['started_at']}")
    return 0


def report_of_cores(count: int) -> Path:
    """Where a run on so many cores leaves its report."""
    return REPORT.with_name(f"bench-cores-{count}.json")


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.exists() else None


def recorded_by_cores(
    before: Mapping[str, Any], reports: Mapping[int, Mapping[str, Any] | None]
) -> dict[str, Any]:
    """What is kept of runs on some cores, by their number, as text. Raises: NotInOrder for one that failed."""
    found = dict(before)
    for count, report in reports.items():
        if report:
            whole = recorded_of(report)
            kept = {name: value for name, value in whole.items() if name in KEPT_OF_CORES}
            rates = {name: whole[name][rate] for name, rate in RATES.items() if whole.get(name, {}).get(rate)}
            if of_100 := whole.get("batch", {}).get("of_100", {}).get("orders_per_s"):
                rates["batch of 100"] = of_100
            found[str(count)] = kept | {"rates": rates}
    return dict(sorted(found.items(), key=lambda each: int(each[0])))


def recorded_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a report. Raises: NotInOrder for one of a run that failed."""
    if report["trouble"]:
        raise NotInOrder(f"the run failed: {'; '.join(report['trouble'])}")
    audits = report["audits"]
    kept: dict[str, Any] = _without_runs_details(
        {name: value for name, value in report.items() if name not in NOT_KEPT}
    )
    return kept | {"audits": {"run": len(audits), "broken": sum(audit["broken"] for audit in audits)}}


def written_into(text: str, recorded: Mapping[str, Any]) -> str:
    """A document with its blocks written anew. Raises: NotInOrder when it has none, or one of an unknown name."""
    found = 0

    def block(match: re.Match[str]) -> str:
        nonlocal found
        found += 1
        name = match["name"]
        if name not in BLOCKS:
            raise NotInOrder(f"no block is called {name}")
        return f"<!-- bench:{name} -->\n{BLOCKS[name](recorded)}\n<!-- /bench:{name} -->"

    marked = re.compile(r"<!-- bench:(?P<name>[\w-]+) -->\n.*?<!-- /bench:(?P=name) -->", re.DOTALL)
    written = marked.sub(block, text)
    if not found:
        raise NotInOrder("a document has no markers for figures")
    return written


def every_table(recorded: Mapping[str, Any]) -> str:
    """Where the figures are from, and each table but the memory's."""
    audits = recorded["audits"]
    told = f"{origin(recorded)}. {audits['run']} audits in it, {audits['broken']} broken."
    return "\n\n".join([told, *(markdown(table) for table in tables(recorded))])


def summary(recorded: Mapping[str, Any]) -> str:
    """The first table, side by side, what its rows are, and where it is from."""
    return f"{markdown(next(tables(recorded)))}\n\n{ROWS}\n\n{origin(recorded)}."


def cores(recorded: Mapping[str, Any]) -> str:
    """How the figures grow with the cores, and where they are from."""
    runs = recorded.get("by_cores", {})
    if not runs:
        return 'Not measured yet: `make bench-quick ARGS="--cores 1"`, the same with 2, then `make bench-figures`.'
    origins = [f"{origin(run)}." for run in runs.values()]
    return "\n\n".join([markdown(by_cores(runs)), *origins])


def asked(recorded: Mapping[str, Any]) -> str:
    """The speed that is required, with what was measured, each figure whole, and what is missing."""
    rows = [*_latency_asked(recorded), *_rate_asked(recorded)]
    lines = ["| required | measured | missing |", _line(["---"] * 3), *(_line(row) for row in rows)]
    return "\n".join([*lines, "", f"{origin(recorded)}."])


def _latency_asked(recorded: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    wanted = f"under {ASKED_MS} ms"
    if single := recorded.get("single"):
        told = f"answer to the customer at {single['orders_per_s']:,} orders/s: "
        yield wanted, told + _percentiles(single["p50_ms"], single["p99_ms"]), _too_late(single["p99_ms"])
    for run in recorded.get("end_to_end", {}).get("runs", []):
        settled = run["settle_above_venue_ms"]
        if run["sustained"] and settled["p99"] is not None:
            told = f"settled, without the venue's time, at {run['offered_per_s']:,} orders/s: "
            yield wanted, told + _percentiles(settled["p50"], settled["p99"]), _too_late(settled["p99"])


def _rate_asked(recorded: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, what in (
        ("single", "taken, singly"),
        ("batch", "taken, in batches of 1,000"),
        ("end_to_end", "taken, settled and reported, sustained"),
    ):
        if reached := recorded.get(name, {}).get("orders_per_s"):
            lacking = max(0, ASKED_ORDERS_PER_S - reached)
            told = f"{what}: {reached:,} per second"
            yield f"{ASKED_ORDERS_PER_S:,} orders per second", told, f"{lacking:,}" if lacking else "nothing"


def _percentiles(p50_ms: float, p99_ms: float) -> str:
    return f"p50 {p50_ms:g} ms, p99 {p99_ms:g} ms"


def _too_late(p99_ms: float) -> str:
    return f"{p99_ms - ASKED_MS:g} ms at p99" if p99_ms >= ASKED_MS else "nothing"


def markdown(table: Table) -> str:
    """A table as Markdown, under its title."""
    lines = [
        f"**{table.title}**",
        "",
        _line(table.headings),
        _line(["---"] * len(table.headings)),
        *(_line(row) for row in table.rows),
    ]
    return "\n".join([*lines, *(["", table.note] if table.note else [])])


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _without_runs_details(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_runs_details(each) for name, each in value.items() if name not in NOT_KEPT_OF_RUN
        }
    return [_without_runs_details(each) for each in value] if isinstance(value, list) else value


DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "performance.md", ROOT / "docs" / "guarantees.md")
BLOCKS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "summary": summary,
    "tables": every_table,
    "asked": asked,
    "cores": cores,
}

if __name__ == "__main__":
    sys.exit(main())
