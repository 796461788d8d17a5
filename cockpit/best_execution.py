"""What conversions were executed at against three benchmarks: sums by day (UTC) and coin, the worst, and each of them.

The definitions are `settlement.conversions.execution.gains`'s. The benchmarks are named as the rows have them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

import structlog
from django.db import Error

from cockpit.sharing import Shared
from infra.csv_lines import csv_lines, text_cell
from infra.db.rows import reader, rows_of
from infra.db.transient_errors import is_transient, leave_session
from ledger.decimals import EXACT, quotient
from settlement.conversions.execution.gains import Gain, gain
from settlement.models import Execution
from settlement.venues.protocol import PRICE_UNIT

log = structlog.get_logger(__name__)

BENCHMARKS = {
    "order_price": "order",
    "sent_price": "send",
    "minute_price": "vwap",
}
DAY = timedelta(days=1)
ROWS_A_STATEMENT = 2_000
ZERO = Decimal(0)

_GAINED = """
    count({0}), coalesce(sum(CASE side WHEN 'buy' THEN {0} * coin - usdt ELSE usdt - {0} * coin END)
                         FILTER (WHERE {0} IS NOT NULL), 0), coalesce(sum({0} * coin), 0)
"""
IN_ALL = f"""
    SELECT underlying, count(*), sum(coin), sum(usdt), count(*) FILTER (WHERE answer = 'AWAITED'),
           {", ".join(_GAINED.format(column) for column in BENCHMARKS)}
    FROM settlement_execution WHERE minute >= %(begins)s AND minute < %(ends)s
    GROUP BY 1 ORDER BY 1
"""  # noqa: S608
BY_DAY = """
    SELECT day, underlying, conversions, coin, usdt, awaited, order_count, order_gain, order_notional,
           sent_count, sent_gain, sent_notional, minute_count, minute_gain, minute_notional
    FROM settlement_executionday
    WHERE day BETWEEN %(first)s AND %(last)s AND conversions > 0 ORDER BY day DESC, underlying
"""
# Each day's first few of the index `execution_lost`, and of those the first few.
_LOST = "CASE side WHEN 'buy' THEN sent_price * coin - usdt ELSE usdt - sent_price * coin END"
WORST = f"""
    SELECT lost.conversion_id
    FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS of_days(day)
    CROSS JOIN LATERAL (
        SELECT conversion_id, {_LOST} AS gained FROM settlement_execution
        WHERE (minute AT TIME ZONE 'UTC')::date = of_days.day::date AND {_LOST} < 0
        ORDER BY {_LOST} LIMIT %(count)s
    ) AS lost ORDER BY lost.gained, lost.conversion_id LIMIT %(count)s
"""  # noqa: S608
PAGE = """
    SELECT conversion_id, minute, underlying, side, coin, usdt, order_price, sent_price, minute_price, minute_coin,
           answer
    FROM settlement_execution
    WHERE (minute, conversion_id) > (%s, %s) AND minute < %s ORDER BY minute, conversion_id LIMIT %s
"""
HEADING = [
    *("conversion", "minute", "coin", "side", "amount", "usdt", "price"),
    *(f"{each}_price" for each in BENCHMARKS.values()),
    *(f"gain_{each}_{unit}" for each in BENCHMARKS.values() for unit in ("usdt", "bps")),
    *("minute_amount", "answer"),
]


@dataclass(frozen=True, slots=True)
class Sums:
    """Conversions of one coin: how many, their coin and USDT, gains by benchmark, and how many wait for the venue."""

    coin: str
    conversions: int
    amount: Decimal
    usdt: Decimal
    awaited: int
    gains: dict[str, Gain] = field(default_factory=dict)
    day: date | None = None


class _Row(NamedTuple):
    """Of an Execution what the file has; as a model a row costs ten times as much."""

    conversion_id: int
    minute: datetime
    underlying: str
    side: str
    coin: Decimal
    usdt: Decimal
    order_price: Decimal | None
    sent_price: Decimal | None
    minute_price: Decimal | None
    minute_coin: Decimal | None
    answer: str


def by_day(*, first: date, last: date) -> list[Sums]:
    """Of each day and coin in which something traded, the newest day first, from the rollup. Raises: DatabaseError."""
    return [_sums(day, *row) for day, *row in rows_of("desk", BY_DAY, {"first": first, "last": last})]


def by_coin(*, begins: datetime, ends: datetime) -> list[Sums]:
    """Of each coin in that time. Raises: DatabaseError."""
    return [_sums(None, *row) for row in rows_of("desk", IN_ALL, {"begins": begins, "ends": ends})]


def in_all(parts: list[Sums]) -> list[Sums]:
    """The same of each coin over all days."""
    totals: dict[str, Sums] = {}
    for each in parts:
        so_far = totals.get(each.coin, Sums(each.coin, 0, ZERO, ZERO, 0))
        totals[each.coin] = Sums(
            each.coin,
            so_far.conversions + each.conversions,
            EXACT.add(so_far.amount, each.amount),
            EXACT.add(so_far.usdt, each.usdt),
            so_far.awaited + each.awaited,
            {name: so_far.gains.get(name, Gain()) + each.gains[name] for name in BENCHMARKS.values()},
        )
    return [totals[coin] for coin in sorted(totals)]


def worst(*, first: date, last: date, count: int) -> list[Execution]:
    """Those that lost most USDT against the price at which they were sent. Raises: DatabaseError."""
    found = rows_of("desk", WORST, {"first": first, "last": last, "count": count})
    rows = Execution.objects.in_bulk([conversion for (conversion,) in found])
    return [rows[conversion] for (conversion,) in found]


def gains_of(row: "Execution | _Row") -> dict[str, Gain | None]:
    """Of one conversion, by benchmark; None where there is no such price."""
    return {
        name: None
        if (price := getattr(row, column)) is None
        else gain(side=row.side, coin=row.coin, usdt=row.usdt, benchmark=price)
        for column, name in BENCHMARKS.items()
    }


def price_of(row: "Execution | _Row") -> Decimal:
    """USDT for one coin, the average over its fills, to 8 decimals, half-even."""
    return quotient(row.usdt, row.coin, unit=PRICE_UNIT, rounding=ROUND_HALF_EVEN)


def file_of(*, first: date, last: date) -> Iterator[str]:
    """Each conversion as CSV, in the order of their minutes, some thousand rows a statement."""
    return csv_lines(HEADING, map(_cells, _each(first, last)))


def _each(first: date, last: date) -> Iterator[_Row]:
    """Each in the order of the index `execution_minute`, some thousand a statement and at once in memory."""
    after, ends = (datetime.combine(first, time.min, UTC), 0), datetime.combine(last, time.min, UTC) + DAY
    while True:
        with reader("desk") as cursor:
            cursor.execute(PAGE, [*after, ends, ROWS_A_STATEMENT])
            page = cursor.fetchall()
        yield from map(_Row._make, page)
        if len(page) < ROWS_A_STATEMENT:
            return
        after = page[-1][1], page[-1][0]


def _cells(row: _Row) -> list[str]:
    gains = gains_of(row)
    return [
        *(str(row.conversion_id), row.minute.isoformat(), text_cell(row.underlying), row.side),
        *(f"{row.coin:f}", f"{row.usdt:f}", f"{price_of(row):f}"),
        *(_text(getattr(row, column)) for column in BENCHMARKS),
        *(
            _text(amount)
            for each in gains.values()
            for amount in (each and each.usdt, each and each.basis_points)
        ),
        *(_text(row.minute_coin), row.answer),
    ]


def _text(amount: Any) -> str:
    return "" if amount is None else f"{amount:f}"


def _sums(day: Any, coin: str, count: int, amount: Decimal, usdt: Decimal, awaited: int, *sums: Any) -> Sums:
    gains = {
        name: Gain(sums[place + 1], sums[place + 2], sums[place])
        for place, name in zip(range(0, len(sums), 3), BENCHMARKS.values(), strict=True)
    }
    return Sums(coin, count, amount, usdt, awaited, gains, day)


# The last 24 hours by coin, added up once a minute however often it is asked for; a desk that does not answer says
# nothing.
shared_last_day = Shared(lambda *, now: _last_day(now), seconds=60)


def _last_day(now: datetime) -> list[Sums]:
    try:
        return by_coin(begins=now - DAY, ends=now)
    except Error as error:
        if not is_transient(error):
            raise
        log.warning("executions cannot be read", error=repr(error))
        leave_session(error)
        return []
