"""Counting what both systems have done, once and by primary key: nothing that is finished is ever read twice.

Rows get their ids before they are committed, and not in that order. So a rollup counts up to where an earlier one has
seen the table end: what is below is decided. That keeps totals exact, and they never go down.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from cockpit.histogram import BOUNDS_SECONDS, BUCKETS, added
from cockpit.models import Tally
from infra.coordination.ages import AHEAD_TOLERANCE, age
from infra.coordination.leader import exclusive
from infra.db.rows import rows_of
from settlement.book.chart import COUNTER, FEES, PNL, ROUNDING

EVERY = timedelta(seconds=4)  # beat comes each 5 s: none of its ticks is to be too early
KEPT = timedelta(hours=25)  # the cockpit shows a day
# Longer than a transaction that takes orders or books a conversion; longer than a venue call may take to end.
DECIDED_AFTER = timedelta(seconds=3)
ANSWERED_AFTER = timedelta(seconds=15)
# What is counted at once; the rest is counted by the rollups that follow.
MAX_ORDERS = 250_000
MAX_STATE_CHANGES = 5_000
MAX_ATTEMPTS = 50_000

HEADS = {
    "default": "SELECT COALESCE(max(id), 0) FROM counter_syncorder",
    "desk": """
        SELECT (SELECT COALESCE(max(id), 0) FROM settlement_statechange),
               (SELECT COALESCE(max(id), 0) FROM settlement_attempt)
    """,
}
_NTH = "SELECT id FROM {} WHERE id > %s AND id <= %s ORDER BY id OFFSET %s LIMIT 1"
NTH_ORDER = ("default", _NTH.format("counter_syncorder"))
NTH_CHANGE = ("desk", _NTH.format("settlement_statechange"))
NTH_ATTEMPT = ("desk", _NTH.format("settlement_attempt"))
# One statement, so that the counts are of one moment.
ORDERS = """
    SELECT count(*), COALESCE(sum(spread), 0),
           (SELECT count(*) FROM counter_syncorder WHERE state = 'PENDING' AND id <= %(to)s),
           (SELECT count(*) FROM counter_syncorder WHERE state = 'SYNCED' AND id <= %(to)s)
    FROM counter_syncorder WHERE id > %(after)s AND id <= %(to)s
"""
BOOKED = """
    SELECT subject_id FROM settlement_statechange
    WHERE id > %s AND id <= %s AND subject = 'conversion' AND to_state = 'BOOKED'
"""
CONVERSIONS = """
    SELECT count(*), COALESCE(sum(order_count), 0), COALESCE(sum(fee_usdt), 0)
    FROM settlement_conversion WHERE id = ANY(%s)
"""
RESULTS = """
    SELECT a.code, t.kind, sum(CASE t.credit_account_id WHEN a.id THEN t.amount ELSE -t.amount END)
    FROM settlement_desktransfer AS t
    JOIN settlement_deskaccount AS a ON a.id IN (t.debit_account_id, t.credit_account_id)
    WHERE t.conversion_id = ANY(%s) AND a.asset = 'USDT' AND a.code = ANY(%s) GROUP BY 1, 2
"""
DURATIONS = """
    WITH venue AS (
        SELECT subject_id, sum(extract(epoch FROM answered_at - sent_at))::float8 AS seconds
        FROM settlement_attempt WHERE subject = 'conversion' AND subject_id = ANY(%(ids)s) GROUP BY 1
    ), orders AS (
        SELECT o.conversion_id, extract(epoch FROM o.settled_at - o.placed_at)::float8 AS seconds
        FROM acceptance_acceptedorder AS o WHERE o.conversion_id = ANY(%(ids)s) AND o.settled_at IS NOT NULL
    )
    SELECT width_bucket(o.seconds, %(bounds)s::float8[]),
           width_bucket(greatest(o.seconds - COALESCE(v.seconds, 0), 0), %(bounds)s::float8[]),
           count(*), sum(o.seconds), sum(greatest(o.seconds - COALESCE(v.seconds, 0), 0))
    FROM orders AS o LEFT JOIN venue AS v ON v.subject_id = o.conversion_id GROUP BY 1, 2
"""
CALLS = """
    SELECT call, CASE WHEN answered_at IS NULL THEN 'unanswered' ELSE outcome END, code, count(*)
    FROM settlement_attempt WHERE id > %s AND id <= %s GROUP BY 1, 2, 3
"""


def newest() -> Tally | None:
    """The last rollup that was taken."""
    return Tally.objects.order_by("-at").first()


def take_if_due(*, now: datetime) -> Tally | None:
    """Take a rollup if the last one is EVERY old and nobody else is at it; the last one there is.

    Raises: database errors of either system; nothing is counted then.
    """
    last = newest()
    if last is not None and age(last.at, now=now) < EVERY:
        return last
    with exclusive("tally", using="default") as alone:
        last = newest()
        if not alone or (last is not None and age(last.at, now=now) < EVERY):
            return last
        rollup = _first(now) if last is None else _next(last, now)
        rollup.save(force_insert=True)
        Tally.objects.filter(Q(at__lt=now - KEPT) | Q(at__gt=now + AHEAD_TOLERANCE)).delete()
    return rollup


def _seen() -> dict[str, int]:
    [(order,)] = rows_of("default", HEADS["default"])
    [(state_change, attempt)] = rows_of("desk", HEADS["desk"])
    return {"seen_order": order, "seen_state_change": state_change, "seen_attempt": attempt}


def _first(now: datetime) -> Tally:
    """Begins with what is under way, so that no total has to go below zero when that is done."""
    seen = _seen()
    head = seen["seen_order"]
    [(_, _, pending, synced)] = rows_of("default", ORDERS, {"after": head, "to": head})
    return Tally(
        at=now,
        as_of=now,
        **seen,
        **{name.replace("seen", "counted"): value for name, value in seen.items()},
        accepted=pending + synced,
        synced=synced,
        settle_counts=[0] * BUCKETS,
        above_venue_counts=[0] * BUCKETS,
    )


def _next(last: Tally, now: datetime) -> Tally:
    decided = Tally.objects.filter(at__lte=now - DECIDED_AFTER).order_by("-at").first() or last
    answered = Tally.objects.filter(at__lte=now - ANSWERED_AFTER).order_by("-at").first()
    rollup = Tally(at=now, as_of=decided.at, **_seen())
    _add_orders(rollup, last, _up_to(NTH_ORDER, last.counted_order, decided.seen_order, MAX_ORDERS))
    _add_bookings(
        rollup,
        last,
        _up_to(NTH_CHANGE, last.counted_state_change, decided.seen_state_change, MAX_STATE_CHANGES),
    )
    until = answered.seen_attempt if answered else 0
    _add_calls(rollup, last, _up_to(NTH_ATTEMPT, last.counted_attempt, until, MAX_ATTEMPTS))
    return rollup


def _up_to(nth: tuple[str, str], counted: int, seen: int, most: int) -> int:
    """The last id to count: the last that was seen, or where `most` rows end that have not been counted."""
    if seen - counted <= most:
        return max(counted, seen)
    rows = rows_of(*nth, [counted, seen, most - 1])
    return rows[0][0] if rows else seen


def _add_orders(rollup: Tally, last: Tally, to: int) -> None:
    [(accepted, spread, pending, synced)] = rows_of(
        "default", ORDERS, {"after": last.counted_order, "to": to}
    )
    rollup.counted_order = to
    rollup.accepted = last.accepted + accepted
    rollup.spread = last.spread + spread
    # Never less than before, even beside a transaction that outlives DECIDED_AFTER.
    rollup.synced = max(last.synced, rollup.accepted - pending)
    rollup.reported = max(last.reported, rollup.accepted - pending - synced)


@dataclass(frozen=True, slots=True)
class _Durations:
    """What orders took: from their acceptance to their settlement, and of that what the venue did not take."""

    settle_seconds: float
    settle_counts: list[int]
    above_venue_seconds: float
    above_venue_counts: list[int]


def _add_bookings(rollup: Tally, last: Tally, to: int) -> None:
    ids = [row[0] for row in rows_of("desk", BOOKED, [last.counted_state_change, to])]
    [(conversions, orders, fees)] = rows_of("desk", CONVERSIONS, [ids])
    results = Counter[tuple[str, str]]()
    results.update(
        {
            (code, kind): amount
            for code, kind, amount in rows_of("desk", RESULTS, [ids, [COUNTER, FEES, PNL, ROUNDING]])
        }
    )
    rollup.counted_state_change = to
    rollup.conversions = last.conversions + conversions
    rollup.settled = last.settled + orders
    rollup.turnover = last.turnover + abs(results[COUNTER, "open"]) + abs(results[COUNTER, "close"])
    rollup.slippage = last.slippage + results[PNL, "slippage"]
    rollup.carry = last.carry + results[PNL, "carry"]
    rollup.rounding = last.rounding + results[ROUNDING, "rounding"]
    rollup.fees = last.fees + results[FEES, "fee_borne"] - fees
    took = _durations(ids)
    rollup.settle_seconds = last.settle_seconds + took.settle_seconds
    rollup.settle_counts = added(last.settle_counts, took.settle_counts)
    rollup.above_venue_seconds = last.above_venue_seconds + took.above_venue_seconds
    rollup.above_venue_counts = added(last.above_venue_counts, took.above_venue_counts)


def _durations(ids: Sequence[int]) -> _Durations:
    settle, above = [0] * BUCKETS, [0] * BUCKETS
    settle_seconds = above_seconds = 0.0
    parameters = {"ids": list(ids), "bounds": list(BOUNDS_SECONDS)}
    for bucket, above_bucket, count, seconds, seconds_above in rows_of("desk", DURATIONS, parameters):
        settle[bucket] += count
        above[above_bucket] += count
        settle_seconds += seconds
        above_seconds += seconds_above
    return _Durations(settle_seconds, settle, above_seconds, above)


def _add_calls(rollup: Tally, last: Tally, to: int) -> None:
    totals = Counter({(call, outcome, code): count for call, outcome, code, count in last.calls})
    for call, outcome, code, count in rows_of("desk", CALLS, [last.counted_attempt, to]):
        totals[call, outcome, code] += count
    rollup.counted_attempt = to
    rollup.calls = [[*key, count] for key, count in sorted(totals.items())]


def at_or_before(moment: datetime) -> Tally | None:
    """The last rollup taken by a moment; the first one there is if none was."""
    rollups = Tally.objects.order_by("-at")
    return rollups.filter(at__lte=moment).first() or rollups.last()
