"""What customers' money and positions are worth over time: measured every hour, kept by the hour, then by the day.

Never on the way of an order: a worker measures, in snapshots of some customers each. What cannot be told (an option
without a fresh price, a payout to come) is tried once more in the second half of its hour, and is a gap if that was in
vain. What goes through all accounts or all old rows is done with the first rows of an hour only.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Case, Count, F, Sum, When

from counter.market.closing import Closing
from counter.models import Account, CashMovement, Option, PortfolioValue, Position
from counter.models.positions import living
from infra.db.snapshots import snapshot
from ledger.decimals import calculating

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURS_KEPT, DAYS_KEPT = timedelta(days=8), timedelta(days=400)
CUSTOMERS_AT_A_TIME = 500
FORGOTTEN_AT_A_TIME = 20_000
FORGETTING_SECONDS = 60.0  # an hour: what is left then is left to the next one
TRIED_AGAIN_AFTER = timedelta(minutes=30)
ZERO = Decimal(0)
# What can be asked for, and how far apart its points are.
SPANS: Mapping[str, tuple[timedelta, timedelta]] = {
    "1d": (DAY, HOUR),
    "1w": (timedelta(weeks=1), HOUR),
    "1y": (timedelta(days=365), DAY),
}
# Who holds something and has no row of the period, or none with a worth that is as late as it is tried again; and, as
# long as the period has no row, who had a row and has something else since.
DUE = """
    SELECT DISTINCT p.customer_id FROM counter_position AS p
    WHERE p.state IN ('OPEN', 'CLOSING') AND NOT EXISTS (
        SELECT FROM counter_portfoliovalue AS v
        WHERE v.customer_id = p.customer_id AND v.period = %(period)s AND (v.worth IS NOT NULL OR v.at >= %(again)s))
    UNION
    SELECT a.customer_id FROM counter_account AS a CROSS JOIN LATERAL (
        SELECT period, balance, holds FROM counter_portfoliovalue AS v
        WHERE v.customer_id = a.customer_id ORDER BY period DESC LIMIT 1) AS newest
    WHERE newest.period < %(period)s AND (newest.holds OR newest.balance <> a.balance)
        AND NOT EXISTS (SELECT FROM counter_portfoliovalue AS begun WHERE begun.period = %(period)s)
    ORDER BY 1
"""
# The last one of each day stays, one with a worth if there is one.
THIN = """
    DELETE FROM counter_portfoliovalue WHERE id IN (
        SELECT v.id FROM counter_portfoliovalue AS v WHERE v.period < %(until)s AND v.period >= %(since)s AND EXISTS (
            SELECT FROM counter_portfoliovalue AS later
            WHERE later.customer_id = v.customer_id AND later.period > v.period
              AND later.period < date_trunc('day', v.period, 'UTC') + interval '1 day'
              AND (later.worth IS NOT NULL OR v.worth IS NULL))
        ORDER BY v.period LIMIT %(most)s)
"""
FORGET = """
    DELETE FROM counter_portfoliovalue WHERE id IN (
        SELECT id FROM counter_portfoliovalue WHERE period < %(until)s ORDER BY period LIMIT %(most)s)
"""


@dataclass(frozen=True, slots=True)
class PortfolioMoment:
    """USDT at a moment: all that there was, and what of it is profit; None where that could not be told."""

    at: datetime
    value: Decimal | None
    profit: Decimal | None


def has_begun(*, now: datetime) -> bool:
    """Whether anybody was measured in the hour of `now`."""
    return PortfolioValue.objects.filter(period=_begin(now, HOUR)).exists()


def measure(*, now: datetime) -> int:
    """Measure everybody whose row of the hour of `now` is due; how many rows were written."""
    period = _begin(now, HOUR)
    second = period + TRIED_AGAIN_AFTER
    with connection.cursor() as cursor:
        cursor.execute(DUE, {"period": period, "again": second if now >= second else period})
        due = [customer_id for (customer_id,) in cursor.fetchall()]
    written = 0
    for first in range(0, len(due), CUSTOMERS_AT_A_TIME):
        rows = _measured(due[first : first + CUSTOMERS_AT_A_TIME], period, now)
        PortfolioValue.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["customer", "period"],
            update_fields=["at", "balance", "worth", "paid_in", "holds"],
        )
        written += len(rows)
    return written


def thin(*, now: datetime) -> int:
    """Forget the hours of long ago but the last of each day, and the days of very long ago; how many rows.

    FORGOTTEN_AT_A_TIME in each statement, and no new statement after FORGETTING_SECONDS.
    """
    until = _begin(now - HOURS_KEPT, DAY)
    # No further back: what lies behind is thin, but for what was left out while nothing was thinned.
    since = until - timedelta(days=2)
    ends_at = time.monotonic() + FORGETTING_SECONDS
    return _forgotten(THIN, {"until": until, "since": since}, ends_at) + _forgotten(
        FORGET, {"until": now - DAYS_KEPT}, ends_at
    )


def _forgotten(statement: str, given: Mapping[str, datetime], ends_at: float) -> int:
    """Repeat a statement until it finds less than a full piece, once at least; how many rows it has taken."""
    forgotten = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, {**given, "most": FORGOTTEN_AT_A_TIME})
            forgotten += cursor.rowcount
            if cursor.rowcount < FORGOTTEN_AT_A_TIME or time.monotonic() >= ends_at:
                return forgotten


@calculating()
def _measured(customer_ids: Sequence[int], period: datetime, now: datetime) -> list[PortfolioValue]:
    with snapshot("default"):
        balances = dict(
            Account.objects.filter(customer_id__in=customer_ids).values_list("customer_id", "balance")
        )
        paid_in = paid_in_by_customer(customer_ids)
        worths = _worths(customer_ids, now)
    return [
        PortfolioValue(
            customer_id=customer_id,
            period=period,
            at=now,
            balance=balance or ZERO,
            worth=worths.get(customer_id, ZERO),
            paid_in=paid_in.get(customer_id, ZERO),
            holds=customer_id in worths,
        )
        for customer_id, balance in balances.items()
    ]


def paid_in_by_customer(customer_ids: Iterable[int]) -> dict[int, Decimal]:
    """Deposits less withdrawals of each of these customers, USDT: those that are on their way have left."""
    kind = CashMovement.Kind
    moved = Case(
        When(kind__in=[kind.DEPOSIT, kind.RELEASE], then=F("amount")),
        When(kind=kind.RESERVATION, then=-F("amount")),
        default=ZERO,
    )
    rows = CashMovement.objects.filter(customer_id__in=customer_ids).order_by()
    return dict(rows.annotate(by=moved).values_list("customer_id").annotate(total=Sum("by")))


def _worths(customer_ids: Sequence[int], now: datetime) -> dict[int, Decimal | None]:
    """What closing would bring each of these customers who hold something; None where that cannot be told."""
    groups: Any = list(
        Position.objects.filter(living(), customer_id__in=customer_ids)
        .order_by()
        .values("customer_id", "option_id", "remaining")
        .annotate(times=Count("pk"), unpaid=Sum("unpaid"))
    )
    options = Option.objects.select_related("quote").in_bulk({group["option_id"] for group in groups})
    closing = Closing(now=now)
    found: dict[int, Decimal | None] = {}
    for group in groups:
        before = found.setdefault(group["customer_id"], ZERO)
        brings = closing.brings(options[group["option_id"]], group["remaining"], group["times"])
        is_known = before is not None and brings.amount is not None and not brings.is_old
        found[group["customer_id"]] = (
            before + brings.amount  # type: ignore[operator]
            if is_known and not group["unpaid"]
            else None
        )
    return found


@calculating()
def history(*, customer_id: int, span: str, now: datetime) -> list[PortfolioMoment]:
    """A customer's past over a span (a key of SPANS), oldest first: one point a step, from the first that is known on.

    Raises: KeyError.
    """
    length, every = SPANS[span]
    first = _begin(now - length, every) + every
    kept = PortfolioValue.objects.filter(customer_id=customer_id)
    last = kept.filter(period__lt=first).order_by("-period").first()
    by_step: dict[datetime, PortfolioValue] = {}
    for row in kept.filter(period__gte=first, period__lte=now).order_by("period"):
        step = _begin(row.period, every)
        if row.worth is not None or step not in by_step:
            by_step[step] = row
    points = []
    for number in range((now - first) // every + 1):
        step = first + number * every
        if step in by_step:
            last = by_step[step]
            points.append(_point(last.at, last))
        elif last is not None and step + every <= now:  # who held nothing has had the same since
            points.append(_point(step, None if last.holds else last))
    return points


def _point(at: datetime, row: PortfolioValue | None) -> PortfolioMoment:
    if row is None or row.worth is None:
        return PortfolioMoment(at, None, None)
    value = row.balance + row.worth
    return PortfolioMoment(at, value, value - row.paid_in)


def _begin(moment: datetime, every: timedelta) -> datetime:
    return EPOCH + (moment - EPOCH) // every * every
