"""What conversions were executed at against three benchmarks: sums by day (UTC) and coin, the worst, and each of them.

The definitions are `settlement.conversions.execution.gains`'s. The benchmarks are named as the rows have them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import structlog
from django.db import Error
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from cockpit.sharing import Shared
from infra.csv_lines import csv_lines, text_cell
from infra.db.not_now import is_not_now, leave_session
from infra.db.rows import rows_of
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
SUMS = f"""
    SELECT {{by}}, underlying, count(*), sum(coin), sum(usdt), count(*) FILTER (WHERE answer = 'AWAITED'),
           {", ".join(_GAINED.format(column) for column in BENCHMARKS)}
    FROM settlement_execution WHERE minute >= %(begins)s AND minute < %(ends)s
    GROUP BY 1, 2 ORDER BY 1 DESC, 2
"""  # noqa: S608
BY_DAY = SUMS.format(by="(minute AT TIME ZONE 'UTC')::date")
IN_ALL = SUMS.format(by="1")
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


def by_day(*, first: date, last: date) -> list[Sums]:
    """Of each day and coin in which something traded, the newest day first. Raises: DatabaseError."""
    return [_sums(day, *row) for day, *row in rows_of("desk", BY_DAY, _span(first, last))]


def by_coin(*, begins: datetime, ends: datetime) -> list[Sums]:
    """Of each coin in that time. Raises: DatabaseError."""
    return [_sums(None, *row) for _, *row in rows_of("desk", IN_ALL, {"begins": begins, "ends": ends})]


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
    """Those that lost most USDT against the price at which they were sent."""
    gained = RawSQL(
        "CASE side WHEN 'buy' THEN sent_price * coin - usdt ELSE usdt - sent_price * coin END", ()
    )
    return list(
        _between(first, last)
        .filter(sent_price__isnull=False)
        .annotate(gained=gained)
        .filter(gained__lt=0)
        .order_by("gained")[:count]
    )


def gains_of(row: Execution) -> dict[str, Gain | None]:
    """Of one conversion, by benchmark; None where there is no such price."""
    return {
        name: None
        if (price := getattr(row, column)) is None
        else gain(side=row.side, coin=row.coin, usdt=row.usdt, benchmark=price)
        for column, name in BENCHMARKS.items()
    }


def price_of(row: Execution) -> Decimal:
    """USDT for one coin, the average over its fills, to 8 decimals, half-even."""
    return quotient(row.usdt, row.coin, unit=PRICE_UNIT, rounding=ROUND_HALF_EVEN)


def file_of(*, first: date, last: date) -> Iterator[str]:
    """Each conversion as CSV, in the order of their minutes, some thousand rows a statement."""
    return csv_lines(HEADING, map(_cells, _each(first, last)))


def _each(first: date, last: date) -> Iterator[Execution]:
    rows = _between(first, last).order_by("minute", "conversion_id")
    after = Q()
    while True:
        page = list(rows.filter(after)[:ROWS_A_STATEMENT])
        yield from page
        if len(page) < ROWS_A_STATEMENT:
            return
        end = page[-1]
        # The first part says where in the index to begin.
        after = Q(minute__gte=end.minute) & (
            Q(minute__gt=end.minute) | Q(conversion_id__gt=end.conversion_id)
        )


def _cells(row: Execution) -> list[str]:
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


def _between(first: date, last: date) -> QuerySet[Execution]:
    span = _span(first, last)
    return Execution.objects.filter(minute__gte=span["begins"], minute__lt=span["ends"])


def _span(first: date, last: date) -> dict[str, datetime]:
    return {
        "begins": datetime.combine(first, time.min, UTC),
        "ends": datetime.combine(last, time.min, UTC) + DAY,
    }


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
        if not is_not_now(error):
            raise
        log.warning("executions cannot be read", error=repr(error))
        leave_session(error)
        return []
