"""The demo's figures, read from both systems' tables for the orders of one run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from infra.db.rows import rows_of

PIPELINE = """
    SELECT count(*), count(*) FILTER (WHERE state <> 'PENDING'), count(*) FILTER (WHERE state = 'SETTLED')
    FROM counter_syncorder WHERE id > %s AND client_order_id LIKE %s
"""
RUN_ORDERS = """
    SELECT id, placed_at, settled_at, spread
    FROM counter_syncorder WHERE id > %s AND client_order_id LIKE %s ORDER BY id
"""
REPORTED = """
    SELECT count(*) FROM counter_syncorder WHERE id > %s AND client_order_id LIKE %s AND state = 'SETTLED'
"""
# State by state, for each has a partial index: this is asked while the orders in question are being settled.
UNREPORTED = """
    SELECT (SELECT count(*) FROM counter_syncorder WHERE state = 'PENDING'),
           (SELECT count(*) FROM counter_syncorder WHERE state = 'SYNCED')
"""
ANY_UNREPORTED = """
    SELECT EXISTS (SELECT FROM counter_syncorder WHERE state = 'PENDING'),
           EXISTS (SELECT FROM counter_syncorder WHERE state = 'SYNCED')
"""
DESK_SETTLED = """
    SELECT count(*) FROM acceptance_acceptedorder
    WHERE source = %s AND order_id > %s AND state IN ('SETTLED', 'REPORTED')
"""
# An order's venue time is that of every call made for its conversion.
CONVERSIONS = """
    WITH of_run AS (
        SELECT o.order_id, o.conversion_id FROM acceptance_acceptedorder AS o
        WHERE o.source = %s AND o.order_id = ANY(%s) AND o.conversion_id IS NOT NULL
    ), calls AS (
        SELECT subject_id AS conversion_id, sum(extract(epoch FROM answered_at - sent_at)) * 1000 AS venue_ms
        FROM settlement_attempt
        WHERE subject = 'conversion' AND subject_id IN (SELECT conversion_id FROM of_run) GROUP BY 1
    )
    SELECT of_run.order_id, coalesce(calls.venue_ms, 0) FROM of_run LEFT JOIN calls USING (conversion_id)
"""
NETTING = """
    SELECT c.underlying, sum(c.order_count), count(*) FILTER (WHERE c.quantity > 0),
           (SELECT count(*) FROM settlement_fill AS f JOIN settlement_conversion AS k ON k.id = f.conversion_id
            WHERE k.underlying = c.underlying AND k.id > %s),
           sum(c.bought), sum(c.sold), sum(c.crossed), sum(c.filled_coin), coalesce(sum(c.fee_usdt), 0)
    FROM settlement_conversion AS c WHERE c.id > %s AND c.state = 'BOOKED' GROUP BY 1 ORDER BY 1
"""
# A payout at fill bears its own fee: only the others' fees are the desk's.
RESULTS = """
    SELECT coalesce(sum(a.slippage), 0), coalesce(sum(a.fee) FILTER (WHERE o.payout = 'instant'), 0),
           coalesce(sum(a.rounding), 0)
    FROM settlement_allocation AS a JOIN acceptance_acceptedorder AS o ON o.id = a.order_id
    WHERE a.conversion_id > %s
"""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How far the run's orders have come; each count includes the ones after it."""

    accepted: int
    synced: int
    settled: int
    reported: int


@dataclass(frozen=True, slots=True)
class Start:
    """Where the tables stood before the run: what is after it and carries `run_id` belongs to the run."""

    run_id: str
    order_id: int
    conversion_id: int

    @property
    def orders(self) -> list[Any]:
        """Parameters that select the run's orders."""
        return [self.order_id, f"{self.run_id}-%"]


def start_of(run_id: str) -> Start:
    """Note where the tables stand now."""
    return Start(
        run_id,
        rows_of("default", "SELECT coalesce(max(id), 0) FROM counter_syncorder", [])[0][0],
        rows_of("desk", "SELECT coalesce(max(id), 0) FROM settlement_conversion", [])[0][0],
    )


def order_rows(start: Start) -> list[tuple[int, datetime, datetime | None, Decimal]]:
    """(id, placed_at, settled_at, spread) of each accepted order of the run."""
    return rows_of("default", RUN_ORDERS, start.orders)


def pipeline(start: Start, source: str) -> Pipeline:
    """Counts for the progress view."""
    accepted, synced, reported = rows_of("default", PIPELINE, start.orders)[0]
    settled = rows_of("desk", DESK_SETTLED, [source, start.order_id])[0][0]
    return Pipeline(accepted, synced, settled, reported)


def venue_ms_by_order(source: str, order_ids: Sequence[int]) -> dict[int, float]:
    """Milliseconds that the venue took for each order's conversion."""
    return {order_id: float(ms) for order_id, ms in rows_of("desk", CONVERSIONS, [source, list(order_ids)])}


def settle_ms_by_order(start: Start) -> dict[int, float]:
    """Milliseconds from each settled order's acceptance to its settlement."""
    return {
        order_id: (settled_at - placed_at).total_seconds() * 1000
        for order_id, placed_at, settled_at, _ in order_rows(start)
        if settled_at is not None
    }


def all_reported() -> bool:
    """Whether the desk has reported every accepted order, of any run; cheap however many it has not."""
    return not any(rows_of("default", ANY_UNREPORTED, [])[0])


def unreported() -> int:
    """Accepted orders, of any run, that the desk has not reported yet."""
    return sum(rows_of("default", UNREPORTED, [])[0])


def reported(start: Start) -> int:
    """Orders of the run that the desk has reported by now."""
    return rows_of("default", REPORTED, start.orders)[0][0]


def orders_stored() -> int:
    """Accepted orders of all runs."""
    return rows_of("default", "SELECT count(*) FROM counter_syncorder", [])[0][0]


def netting(start: Start) -> dict[str, dict[str, Any]]:
    """By coin: orders, venue orders, fills; what opens needed, closes gave, crossed and was converted (coin); fees.

    What crossed would have been bought once and sold once, at the fee that each converted coin has cost.
    """
    return {
        coin: {
            "orders": int(orders),
            "venue_orders": venue_orders,
            "fills": fills,
            "orders_per_venue_order": round(int(orders) / venue_orders, 2) if venue_orders else None,
            "bought": str(bought),
            "sold": str(sold),
            "crossed": str(crossed),
            "converted": str(converted),
            "fees_usdt": str(fees),
            "fees_saved_usdt": str(_to_cents(2 * crossed * fees / converted)) if converted else None,
        }
        for coin, orders, venue_orders, fills, bought, sold, crossed, converted, fees in rows_of(
            "desk", NETTING, [start.conversion_id, start.conversion_id]
        )
    }


def _to_cents(usdt: Decimal) -> Decimal:
    return usdt.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)


def results(start: Start) -> tuple[Decimal, Decimal, Decimal]:
    """Slippage, fees and rounding of the run's shares in USDT."""
    slippage, fees, rounding = rows_of("desk", RESULTS, [start.conversion_id])[0]
    return slippage, fees, rounding


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """p50 and p99 (nearest rank) with one decimal."""
    if not values:
        return {"p50": None, "p99": None}
    ordered = sorted(values)
    return {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
        for name, share in (("p50", 0.50), ("p99", 0.99))
    }
