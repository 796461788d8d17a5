"""What came of a run: the report for machines, and the table for people."""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from audit.table import show
from ledger.decimals import rounded
from tools.chaos.answers import Outage, availability
from tools.chaos.gain import CENT, Gain
from tools.chaos.options import Options
from tools.chaos.run import Result
from tools.chaos.storm import Injected

# After its end: time for the supervisor to start the program again, and for it to serve.
OUTAGE_LASTS_SECONDS = 20.0
APART = ("web", "postgres")
LISTED = 20


def outages(injected: Iterable[Injected]) -> list[Outage]:
    """The times in which web or PostgreSQL were broken, or came back."""
    return [
        Outage(each.target, each.began, (each.ended or each.began) + OUTAGE_LASTS_SECONDS)
        for each in injected
        if each.target in APART
    ]


def report_of(options: Options, result: Result) -> dict[str, Any]:
    """The content of `chaos.json`; see docs/chaos.md."""
    heard, storm, audited = result.heard, result.storm, result.audited
    available = availability(heard.asked, outages(storm.injected))
    since = min((each.began for each in heard.asked), default=0.0)
    return {
        "seed": options.seed,
        "minutes": options.minutes,
        "injected": dict(sorted(Counter(each.name for each in storm.injected).items())),
        "injected_at": [
            [each.name, round(each.began - since, 1), each.ended and round(each.ended - since, 1)]
            for each in storm.injected
        ],
        "not_injected": dict(sorted(Counter(storm.skipped).items())),
        "unmended": storm.unmended,
        "accepted": result.proof.stored,
        "answered_2xx": len(heard.accepted),
        "refused": dict(heard.refused.most_common()),
        "without_outcome": len(heard.without_outcome),
        "lost": len(result.proof.lost),
        "lost_rows": result.proof.lost,
        "doubled": len(result.proof.doubled),
        "doubled_rows": result.proof.doubled,
        "requests": len(heard.asked),
        "availability": available.share,
        "availability_detail": {
            "requests": available.requests,
            "failed": available.failed,
            "spans": available.spans,
            "apart": available.apart,
            "overall": available.overall,
            "examples": available.examples,
        },
        "expired": {
            "series": len(result.expired.symbols),
            "moments": len(result.expired.moments),
            "positions": result.positions,
        },
        "gain": _gain(result.gain),
        "drain_s": result.drain_s,
        "audit": {
            "broken": audited.broken,
            "in_flight": audited.in_flight,
            "unchecked": audited.unchecked,
            "findings": [
                f"{each.number} {finding.what}, {finding.where}: {finding.detail}"
                for each in audited.results
                for finding in (*each.broken.listed, *each.in_flight.listed)
            ],
        },
    }


def _gain(gain: Gain | None) -> dict[str, Any] | None:
    """What customers gained from prices that were not true, USDT; see docs/chaos.md."""
    if gain is None:
        return None
    return {
        "trades": gain.trades,
        "unvalued": gain.unvalued,
        "traded": str(gain.traded),
        "at_true_index": _usdt(gain.at_true_index),
        "beyond": _usdt(gain.beyond),
        "bound": _usdt(gain.bound),
        "adversaries": {
            "attempts": gain.attempts,
            "trades": gain.adversaries_trades,
            "traded": str(gain.adversaries_traded),
            "at_true_index": _usdt(gain.of_adversaries),
            "at_stake": _usdt(gain.at_stake),
        },
        "is_none": gain.is_none,
        "rows": gain.rows,
    }


def _usdt(amount: Decimal) -> str:
    return str(rounded(amount, CENT, ROUND_HALF_EVEN))


def is_whole(report: dict[str, Any]) -> bool:
    """Whether something was traded, and nothing is lost, doubled, broken, unmended, without an outcome or gained."""
    return (
        report["accepted"] > 0
        and report["drain_s"] is not None
        and not any(report[name] for name in ("lost", "doubled", "without_outcome", "unmended"))
        and not report["audit"]["broken"]
        and not report["audit"]["unchecked"]
        and (report["gain"] is None or report["gain"]["is_none"])
    )


def tell(console: Console, report: dict[str, Any], result: Result) -> None:
    """Print what was done to the stack and what is left of it."""
    show(result.audited, console=console)
    table = Table(
        title=f"Chaos, seed {report['seed']}, {report['minutes']:g} min",
        show_header=False,
        title_justify="left",
    )
    table.add_row("injected", f"{sum(report['injected'].values())}: {_counts(report['injected'])}")
    if report["not_injected"]:
        table.add_row("could not be injected", _counts(report["not_injected"]))
    table.add_row("orders accepted", f"{report['accepted']:,} (answered 2xx {report['answered_2xx']:,})")
    table.add_row("orders refused", _counts(report["refused"]) or "none")
    table.add_row("without an outcome", str(report["without_outcome"]))
    table.add_row("lost, doubled", f"{report['lost']}, {report['doubled']}")
    detail = report["availability_detail"]
    table.add_row(
        "availability", f"{_share(detail['overall'])} of all {report['requests']:,} requests answered"
    )
    table.add_row(
        "while nothing was broken for it",
        f"{_share(report['availability'])} of {detail['requests']:,} requests"
        f"{_failures(detail['failed'], detail['spans'])}",
    )
    for cause, counts in detail["apart"].items():
        table.add_row(
            f"while {cause} was broken",
            f"{counts['failed']:,} of {counts['requests']:,} requests failed{_failures(counts['kinds'])}",
        )
    table.add_row("time to drain", "too long" if report["drain_s"] is None else f"{report['drain_s']:.1f} s")
    table.add_row("audit", "{broken} broken, {in_flight} in flight".format(**report["audit"]))
    expired = report["expired"]
    table.add_row(
        "expired",
        f"{expired['series']} series at {expired['moments']} moments; positions {_counts(expired['positions'])}",
    )
    if gain := report["gain"]:
        adversaries = gain["adversaries"]
        table.add_row(
            "gained from bad prices",
            f"{gain['beyond']} USDT, bound {gain['bound']}; at the true index {gain['at_true_index']} of "
            f"{gain['trades']:,} trades, {gain['unvalued']} not valued",
        )
        table.add_row(
            "adversaries",
            f"{adversaries['at_true_index']} USDT of {adversaries['trades']} trades; in {adversaries['attempts']} "
            f"moments the books that were shown would have given {adversaries['at_stake']}",
        )
    console.print(table)
    rows = [*report["lost_rows"], *report["doubled_rows"], *report["audit"]["findings"]]
    if report["gain"] and not report["gain"]["is_none"]:
        rows += report["gain"]["rows"]
    for row in rows[:LISTED]:
        console.print(row, style="red", markup=False, highlight=False)
    if len(rows) > LISTED:
        console.print(f"and {len(rows) - LISTED} more", style="red")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.4%}"


def _failures(kinds: dict[str, int], spans: Mapping[str, list[tuple[int, int]]] | None = None) -> str:
    """How many failed how; with `spans`, also in which seconds of the run."""
    told = []
    for kind, count in kinds.items():
        when = ", ".join(f"{first} to {last}" for first, last in (spans or {}).get(kind, []))
        told.append(f"{kind} {count}" + (f" (at {when} s)" if when else ""))
    return f", {', '.join(told)}" if told else ""
