"""docs/availability.md, from the results of the laboratory: `python -m tools.cluster.page`.

Results of `make cluster` (var/cluster/results.jsonl) are added to docs/availability.json, of which the page is written.
"""

import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.cluster.faults import FAULTS
from tools.cluster.results import is_whole
from tools.embedded import places

ROOT = Path(__file__).resolve().parents[2]
KEPT, PAGE = ROOT / "docs/availability.json", ROOT / "docs/availability.md"
ALLOWED_MINUTES = 52.6  # of a year, at 99.99 %
RUNS_WANTED, REQUESTS_WANTED = 10, 30_000
HEAD = """\
<!-- Generated: python -m tools.cluster.page -->
# Availability: measured outages, and what they come to in a year

For reviewers and operators. `make cluster` builds three whole hosts on one Linux machine, each a network namespace
with etcd, Patroni and PostgreSQL (one of the three primary, one its synchronous standby), Valkey and a Sentinel, and
the programs web, stream, intake, feed, beat, worker and prices; before them HAProxy with `deploy/haproxy/haproxy.cfg`,
beside them a paper venue, and clients. It breaks the hosts while orders come through HAProxy on a fixed schedule.
**Nothing is set apart**: the time of an order starts when it is due, and it succeeds if its first try is answered with
201 within 2 s.

- *Outage*: orders that failed so, by the orders a second: the seconds in which none was taken.
- *With retry*: the same of orders of which no try under their `client_order_id` was answered with 201 within those 2 s.
- *Engine*: the longest time in which no host took a synchronous commit, measured beside the load.
- *Added*: orders that failed so while a host took synchronous commits, by the orders a second.

Results count since {since}. Those of before were of programs that ran once, beside the hosts of databases and
broker, and had no balancer; or of the code before what whole hosts showed was mended: until then HAProxy said
`X-Forwarded-For` twice, so that each order took five times its CPU, on cores that were full.
"""
TAIL = """\
## What this says, and what it does not

- After each fault every acknowledged order is looked for in both databases, by its id and once; no order that was
  permanently refused may be there; the audit of all books runs. *Proof* counts the runs in which all of that held.
- A host that loses power falls silent and takes everything on it along: database, broker, web and the leaders there.
  It is given its power back after the fault's time, and has to be whole again, leaders included.
- The hosts are namespaces of one machine: they share its cores, its disk and its clock.
- The balancer and the venue are whole: two balancers share an address by means of their own (keepalived).
- A full disk of the primary is out for as long as it is full: PostgreSQL goes on and refuses, so Patroni moves nothing.
  Watch the disks.
- The rates per year are assumptions: replace them by your own.
- 0 failures in n requests support at most 1 - 3/n (95 % confidence): a claim of 99.99 % needs {wanted:,} requests.
"""
SINCE = "1 December 2026, 06:27"
COLUMNS = (
    *(
        "fault",
        "runs",
        "requests, failed",
        "outage s: median, worst",
        "with retry s: worst",
        "engine s: median, worst",
    ),
    *("added s: median, worst", "a year", "minutes a year", "proof"),
)


def page(results: Sequence[dict[str, Any]]) -> str:
    """The whole page."""
    rows, total, worst_total, missing = [], 0.0, 0.0, []
    for fault in FAULTS.values():
        runs = [each for each in results if each["fault"] == fault.name]
        if not runs:
            missing.append(f"`{fault.name}` ({fault.what})")
            continue
        outages = [run["outage_s"] for run in runs]
        median, worst = statistics.median(outages), max(outages)
        total += fault.a_year * median / 60
        worst_total += fault.a_year * worst / 60
        rows.append(_row(fault.name, fault.what, runs, fault.a_year, median, worst))
    requests = sum(each["requests"] for each in results)
    return "\n".join(
        [
            HEAD.format(since=SINCE),
            f"| {' | '.join(COLUMNS)} |",
            "|" + " --- |" * len(COLUMNS),
            *rows,
            "",
            _sum(total, worst_total, requests) if rows else "**No run yet**, so no sum.",
            "",
            *_short(results, missing),
            TAIL.format(wanted=REQUESTS_WANTED),
        ]
    )


def _row(
    name: str, what: str, runs: Sequence[dict[str, Any]], a_year: float, median: float, worst: float
) -> str:
    engines = [max(run["gaps_s"]) for run in runs if run["gaps_s"]]
    retried = max(run["failed_with_retry"] * run["outage_s"] / max(run["failed_at_first"], 1) for run in runs)
    engine = f"{statistics.median(engines):.1f}, {max(engines):.1f}" if engines else "not seen"
    added = [run["failed_while_writable_s"] for run in runs]
    cells = [
        f"{what} (`{name}`)",
        len(runs),
        f"{sum(run['requests'] for run in runs)}, {sum(run['failed_at_first'] for run in runs)}",
        f"{median:.1f}, {worst:.1f}",
        f"{retried:.1f}",
        engine,
        f"{statistics.median(added):.1f}, {max(added):.1f}",
        f"{a_year:g}",
        f"{a_year * median / 60:.1f}",
        f"{sum(is_whole(run['proof']) for run in runs)} of {len(runs)}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _sum(total: float, worst: float, requests: int) -> str:
    verdict = "under" if total < ALLOWED_MINUTES else "over"
    return (
        f"**Sum: {total:.1f} minutes a year** by the medians ({worst:.1f} by the worst), {verdict} the "
        f"{ALLOWED_MINUTES} that 99.99 % allows, for the faults of the table; {requests:,} requests."
    )


def _short(results: Sequence[dict[str, Any]], missing: Sequence[str]) -> list[str]:
    """What the claim lacks."""
    counts = {name: sum(each["fault"] == name for each in results) for name in FAULTS}
    few = [f"`{name}` ({count})" for name, count in counts.items() if 0 < count < RUNS_WANTED]
    busy = [each["load_average"] for each in results]
    said = []
    if few:
        said.append(f"**Fewer than {RUNS_WANTED} runs**, so a first look and no proof: {', '.join(few)}.")
    if missing:
        said.append(f"**Not run**: {', '.join(missing)}.")
    if busy:
        said.append(
            f"Load average at the ends of the runs: {min(busy):.0f} to {max(busy):.0f}, on two cores, the laboratory's "
            "own load included."
        )
    return ["\n".join(said), ""] if said else []


def main() -> None:
    kept: list[dict[str, Any]] = json.loads(KEPT.read_text()) if KEPT.exists() else []
    new = places.var_dir_of(os.environ) / "cluster" / "results.jsonl"
    if new.exists():
        found = [json.loads(line) for line in new.read_text().splitlines()]
        kept += [each for each in found if each not in kept]
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    PAGE.write_text(page(kept))


if __name__ == "__main__":
    main()
