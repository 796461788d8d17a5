"""Settling at an index: the recorded average where the record is whole, a person's entry where it has a gap.

Guards: one index for each coin and moment, stored once and never changed; it is stored under the expiry's lock.
"""

from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from django.conf import settings
from django.db import connection, transaction

from counter.expiring.index_average import WINDOW, IndexAverage, Sample, average_of, what_lacks
from counter.models import Expiry, IndexEntry, IndexPrice, Option, SettlementIndex
from infra.db.lifecycles import moves
from ledger.decimals import EXACT

log = structlog.get_logger(__name__)

FORGOTTEN_AT_A_TIME = 5000  # of a coin, which adds some 600 while the sweep waits
MILLISECOND = Decimal("0.001")  # in seconds
FORGET = """
    DELETE FROM counter_indexprice WHERE id IN (
        SELECT id FROM counter_indexprice WHERE underlying = %s AND at < %s
        ORDER BY underlying DESC, at LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def settle_at_average(*, expiry_id: int, now: datetime) -> bool:
    """Store the recorded average of an expiry that waits for its index; False when the record is not enough.

    What it lacks is then noted for people, once. Nothing happens to an expiry that has its index.
    """
    with transaction.atomic():
        expiry = Expiry.objects.select_for_update().get(pk=expiry_id)
        if expiry.state != Expiry.State.WAITING:
            return True
        average = recorded_average(expiry)
        lacks = what_lacks(
            average,
            least_minutes=settings.SETTLEMENT_INDEX_LEAST_MINUTES,
            most_gap=timedelta(seconds=settings.SETTLEMENT_INDEX_MOST_GAP_SECONDS),
        )
        if average.price is None or lacks:
            Expiry.objects.filter(pk=expiry.pk).update(why=lacks)
            log.error("settlement index needs a person", expiry=str(expiry), why=lacks)
            return False
        settle_at(expiry, average.price, average=average, entry=None, now=now)
    return True


def recorded_average(expiry: Expiry) -> IndexAverage:
    """What the record of the index says of an expiry."""
    rows = IndexPrice.objects.filter(
        underlying=expiry.underlying, at__gte=expiry.expires_at - WINDOW, at__lt=expiry.expires_at
    )
    samples = (Sample(at, price) for at, price in rows.values_list("at", "price"))
    return average_of(samples, expires_at=expiry.expires_at)


@moves(Expiry.begin_exercising)
def settle_at(
    expiry: Expiry, price: Decimal, *, average: IndexAverage, entry: IndexEntry | None, now: datetime
) -> None:
    """Store the settlement index of a locked expiry that waits for it, and give it to its options."""
    SettlementIndex.objects.create(
        underlying=expiry.underlying,
        expires_at=expiry.expires_at,
        price=price,
        entry=entry,
        samples=average.samples,
        minutes=average.minutes,
        largest_gap_seconds=EXACT.multiply(
            Decimal(average.largest_gap // timedelta(milliseconds=1)), MILLISECOND
        ),
        first_at=average.first_at,
        last_at=average.last_at,
        recorded_at=now,
    )
    Option.objects.filter(underlying=expiry.underlying, expires_at=expiry.expires_at).update(
        settlement_index=price
    )
    expiry.begin_exercising(at=now)
    expiry.save(update_fields=["state", "indexed_at"])
    log.info("settlement index", expiry=str(expiry), price=str(price), entry=entry and entry.pk)


def forget_record(*, now: datetime) -> int:
    """Forget the record of each coin's index from INDEX_KEPT_DAYS ago, a bounded piece of it; how many samples.

    What an expiry without its index may still need is kept, however old. The settlement indexes themselves stay.
    """
    until = now - timedelta(days=settings.INDEX_KEPT_DAYS)
    waiting = Expiry.objects.filter(state=Expiry.State.WAITING).order_by("expires_at").first()
    if waiting is not None:
        until = min(until, waiting.expires_at - WINDOW)
    forgotten = 0
    with connection.cursor() as cursor:
        for underlying in settings.COINS:
            cursor.execute(FORGET, [underlying, until, FORGOTTEN_AT_A_TIME])
            forgotten += cursor.rowcount
    return forgotten
