"""`end_to_end`: orders offered at a steady rate whatever becomes of them, followed to the settlement report.

A rate is sustained when nearly everything offered is accepted, answered soon, and reported within a few seconds after
the last order. Where the highest rate is not, the highest that is gets searched between those that were offered.
"""

from typing import Any

from bench.bed import Bed
from bench.load import process
from bench.load.job import Job, Outcome
from bench.session import Session
from bench.watch import Followed
from demo import figures

REQUESTS_PER_SECOND = 100
CONNECTIONS = 128
WARM_UP_RATE, WARM_UP_SECONDS = 1_000, 2.0
ACCEPTED_SHARE = 0.99
ANSWERED_WITHIN_MS = 1_000.0
DRAINED_WITHIN_SECONDS = 3.0


def run(session: Session) -> dict[str, Any]:
    """The runs at each rate; on top the highest reported rate that is sustained, and its latencies."""
    session.bed()
    warm_up(session)
    seconds = session.sizes.open_loop_seconds
    runs = [offer(session, rate, seconds) for rate in session.sizes.rates]
    # What the fullest run worked off a second, until its last report, is the first guess.
    guess = runs[-1]["worked_off_per_s"]
    for _ in range(session.sizes.further_rates):
        low = max((each["offered_per_s"] for each in runs if each["sustained"]), default=0)
        high = min((each["offered_per_s"] for each in runs if not each["sustained"]), default=low)
        if high <= low:
            break
        runs.append(offer(session, int(guess if low < guess < high else (low + high) / 2), seconds))
        guess = 0
    return summary(runs)


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The best sustained run on top of all of them; of none, zero orders a second."""
    sustained = [each for each in runs if each["sustained"]]
    best = max(sustained, key=lambda each: each["reported_per_s"], default=None)
    above = best["settle_above_venue_ms"] if best else {}
    return {
        "orders_per_s": best["reported_per_s"] if best else 0.0,
        "p50_ms": above.get("p50"),
        "p99_ms": above.get("p99"),
        "runs": runs,
    }


def warm_up(session: Session) -> None:
    """Have every connection, prepared statement and process used once before anything is measured."""
    process.run(_job(session.bed(), WARM_UP_RATE, WARM_UP_SECONDS))
    session.bed().drain()


def offer(session: Session, rate: int, seconds: float) -> dict[str, Any]:
    """Offer `rate` orders a second for so many seconds; everything that is known of that run."""
    bed = session.bed()
    with session.doing(f"{rate:,} orders a second for {seconds:.0f} s"):
        job = _job(bed, rate, seconds)
        start = figures.start_of(job.run_id)
        with process.prepared(job) as load:
            watched = Followed(bed.watch)
            load.go()
            watched.follow(seconds)
            lag = figures.unreported()
            outcome = load.outcome()
    drained = session.prove(f"{rate:,} orders a second")
    run = _described(bed.source, start, job, outcome, lag, drained) | watched.figures()
    session.note(
        f"offered {rate:,}/s: accepted {run['accepted_per_s']:,.0f}/s, reported {run['reported_per_s']:,.0f}/s, "
        f"settle above venue p99 {run['settle_above_venue_ms']['p99']} ms, lag {lag:,}"
    )
    return run


def _job(bed: Bed, rate: int, seconds: float) -> Job:
    return bed.job(
        connections=CONNECTIONS,
        orders_each=max(1, rate // REQUESTS_PER_SECOND),
        seconds=seconds,
        rate=rate,
    )


def _described(
    source: str, start: figures.Start, job: Job, outcome: Outcome, lag: int, drained: float | None
) -> dict[str, Any]:
    settle_ms = figures.settle_ms_by_order(start)
    venue_ms = figures.venue_ms_by_order(source, list(settle_ms))
    above_ms = [ms - venue_ms.get(order_id, 0.0) for order_id, ms in settle_ms.items()]
    in_time = outcome.orders_per_s * job.seconds
    netting = figures.netting(start)
    sustained = (
        outcome.accepted >= ACCEPTED_SHARE * outcome.offered
        and (outcome.p99_ms or 0.0) <= ANSWERED_WITHIN_MS
        and drained is not None
        and drained <= DRAINED_WITHIN_SECONDS
    )
    return {
        "offered_per_s": job.rate,
        "accepted_per_s": outcome.orders_per_s,
        "reported_per_s": round(max(0.0, in_time - lag) / job.seconds, 1),
        "worked_off_per_s": round(outcome.accepted / (job.seconds + (drained or 0.0)), 1),
        "sustained": sustained,
        "lag_orders": lag,
        "drained_seconds": drained,
        "answer_ms": {"p50": outcome.p50_ms, "p99": outcome.p99_ms},
        "settle_ms": figures.percentiles(list(settle_ms.values())),
        "settle_above_venue_ms": figures.percentiles(above_ms),
        "client_cpu_share": outcome.client_cpu_share,
        "offered": outcome.offered,
        "accepted": outcome.accepted,
        "unavailable": outcome.unavailable,
        "refused": outcome.refused,
        "refused_by_code": outcome.refused_by_code,
        "unanswered": outcome.unanswered,
        "venue_orders": sum(coin["venue_orders"] for coin in netting.values()),
    }
