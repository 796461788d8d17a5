"""`desk_result`: what converting costs while recorded markets run, at the demo's rate of orders.

The recordings are no part of the project: CROSSBOOK_SHARED_DATA names a folder of files that the paper venue replays.
"""

import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from infra.db.rows import rows_of
from tools.bench.desk_result import slippage
from tools.bench.desk_result.price_path import recorded
from tools.bench.desk_result.slippage import Settled
from tools.bench.scenarios import end_to_end
from tools.bench.scenarios.demo_rate import CONNECTIONS, RATE
from tools.bench.session import Session
from tools.demo import figures

FOLDER = "CROSSBOOK_SHARED_DATA"
PRICES_WITHIN_MS = 20  # how often the venue looks at its prices: a moment's mid is no older

# Of the orders of a run that are settled at a price that is the desk's matter: a payout at fill bears its own.
SETTLED = """
    SELECT o.underlying, CASE o.kind WHEN 'OPEN' THEN 'buy' ELSE 'sell' END, o.coin, o.index_price, c.price, a.fee,
           o.placed_at, coalesce(s.sent_at, c.planned_at), coalesce(f.executed_at, c.planned_at)
    FROM acceptance_acceptedorder AS o
    JOIN settlement_allocation AS a ON a.order_id = o.id
    JOIN settlement_conversion AS c ON c.id = a.conversion_id
    LEFT JOIN LATERAL (
        SELECT sent_at FROM settlement_attempt
        WHERE subject = 'conversion' AND subject_id = c.id AND call = 'submit' ORDER BY id DESC LIMIT 1
    ) AS s ON true
    LEFT JOIN LATERAL (
        SELECT min(traded_at) AS executed_at FROM settlement_fill WHERE conversion_id = c.id
    ) AS f ON true
    WHERE o.order_id > %s AND c.id > %s AND o.coin > 0 AND NOT (o.kind <> 'OPEN' AND o.payout = 'at_fill')
"""
CONVERTED = """
    SELECT count(*) FILTER (WHERE state = 'BOOKED' AND quantity > 0), count(*) FILTER (WHERE state = 'MISSED'),
           coalesce(sum(fee_usdt), 0), coalesce(sum(filled_usdt), 0)
    FROM settlement_conversion WHERE id > %s
"""


@dataclass(frozen=True, kw_only=True)
class Market:
    """A market to replay: which files, and how many recorded seconds pass in one."""

    name: str
    files: str
    speed: int


MARKETS = (
    Market(name="book tickers", files="*bookticker*.csv.gz", speed=1),
    Market(name="crash", files="*crash*.csv.gz", speed=60),
)


def run(session: Session) -> dict[str, Any]:
    """By market: how long settling took, and slippage by cause; says what to set where there are no recordings."""
    folder = os.environ.get(FOLDER, "")
    found = {
        market: sorted(map(str, Path(folder).glob(market.files))) if folder else [] for market in MARKETS
    }
    if not all(found.values()):
        session.note(f"desk_result left out: no recordings; {FOLDER} names their folder")
        return {"left_out": f"no recordings: {FOLDER} names their folder"}
    return {
        "rate": RATE,
        "markets": [_measured(session, market, files) for market, files in found.items()],
    }


def _measured(session: Session, market: Market, files: list[str]) -> dict[str, Any]:
    session.new_bed(
        f"stack-{market.name.replace(' ', '-')}",
        venue=(
            *("--market-data", *files, "--speed", str(market.speed)),
            *("--push-every-ms", str(PRICES_WITHIN_MS)),
        ),
    )
    end_to_end.warm_up(session)
    from django.conf import settings

    order_id = rows_of("default", "SELECT coalesce(max(id), 0) FROM counter_syncorder")[0][0]
    start = figures.start_of("")
    with recorded(list(settings.COINS)) as paths:
        offered = end_to_end.offer(
            session,
            RATE,
            session.sizes.desk_result_seconds,
            orders_each=1,
            connections=CONNECTIONS,
            may_be_refused=True,
        )
    orders = [
        Settled(**dict(zip(Settled.__annotations__, row, strict=True)))
        for row in rows_of("desk", SETTLED, [order_id, start.conversion_id])
    ]
    venue_orders, misses, fees, traded = rows_of("desk", CONVERTED, [start.conversion_id])[0]
    session.prove(market.name)
    result = slippage.of(orders, paths, fee_rate=fees / traded if traded else Decimal(0)).figures()
    session.note(
        f"{market.name}: settle above venue p99 {offered['settle_above_venue_ms']['p99']} ms, "
        f"slippage {result['slippage']['bp']} bp, at the touch {result['limit']['bp']} bp"
    )
    moved = {coin: _moved_bp([top.mid for top in path.tops]) for coin, path in paths.items() if path.tops}
    return {
        "name": market.name,
        "speed": market.speed,
        "moved_bp": moved,
        "venue_orders": venue_orders,
        "misses": misses,
        "result": result,
        "run": offered,
    }


def _moved_bp(mids: list[Decimal]) -> float:
    """From the lowest to the highest price of the run, in basis points of the lowest."""
    return round(float((max(mids) / min(mids) - 1) * 10_000), 1)
