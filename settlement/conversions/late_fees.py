"""Fees in a third asset that has no price at the moment: the trade is stored and booked, its fee is valued later.

A fee's worth is for reports: the asset itself left the wallet with the trade, and is booked so. What was valued in time
is shared out to the orders; what was not, the house bears, so that nobody waits for another market.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

import structlog

from infra.db.rows import insert
from ledger.decimals import calculating, product, rounded
from settlement.book.chart import USDT
from settlement.models import Conversion, Fill, LateFee
from settlement.venues.protocol import Trade, Venue, VenueError

log = structlog.get_logger(__name__)

USDT_UNIT = Decimal("0.00000001")
ABSURD_USDT = Decimal(10) ** 15
BY = "settlement"
AT_A_TIME = 500


def fee_values(trades: Iterable[Trade], underlying: str, venue: Venue) -> dict[str, Decimal]:
    """USDT for one unit of each third asset that a fee was taken in, as far as the venue has a price now."""
    found = {}
    for asset in sorted({trade.fee_asset for trade in trades if trade.fee} - {underlying, USDT}):
        try:
            found[asset] = venue.value_in_usdt(asset)
        except VenueError as error:
            log.warning("a fee cannot be valued yet", asset=asset, error=str(error))
    return found


def worth(value: Decimal | None, amount: Decimal) -> Decimal | None:
    """USDT of an amount at `value` for one unit, to 8 decimals, half-even; None without a value, or an absurd one."""
    if value is None or abs(found := product(value, amount)) >= ABSURD_USDT:
        return None
    return rounded(found, USDT_UNIT, ROUND_HALF_EVEN)


def note(conversion: Conversion, fills: Iterable[Fill]) -> None:
    """Note what of a conversion's new trades has no value, in the caller's transaction."""
    insert(unvalued(conversion, fills))


@calculating()
def unvalued(conversion: Conversion, fills: Iterable[Fill]) -> list[LateFee]:
    """What of a conversion's new trades has no value, by asset, not stored yet."""
    lacking: dict[str, list[Fill]] = {}
    for fill in fills:
        is_third = fill.fee and fill.fee_asset not in (conversion.underlying, USDT)
        if is_third and fill.fee_usdt is None:
            lacking.setdefault(fill.fee_asset, []).append(fill)
    return [
        LateFee(
            conversion_id=conversion.pk,
            asset=asset,
            amount=sum((fill.fee for fill in some), Decimal(0)),
            taken_at=min(fill.traded_at for fill in some),
        )
        for asset, some in lacking.items()
    ]


def value_waiting(*, venue: Venue, now: datetime) -> int:
    """Value what waits, at the price of now; how many fees that were. One that cannot be valued stops no other."""
    waiting = LateFee.objects.filter(valued_at__isnull=True)
    valued = 0
    for asset in waiting.values_list("asset", flat=True).distinct().order_by("asset"):
        try:
            value = venue.value_in_usdt(asset)
        except VenueError as error:
            log.info("late fees wait on", asset=asset, error=str(error))
            continue
        for fee in waiting.filter(asset=asset).order_by("pk")[:AT_A_TIME]:
            if (found := worth(value, fee.amount)) is None:
                log.warning("a late fee has an absurd value", fee=str(fee), value=str(value))
                continue
            valued += _store(fee, found, by=BY, now=now)
    return valued


def value_by_hand(fee: LateFee, worth_usdt: Decimal, *, by: str, now: datetime) -> bool:
    """Enter what a fee was worth, as a person knows; False when it has been valued meanwhile."""
    return _store(fee, rounded(worth_usdt, USDT_UNIT, ROUND_HALF_EVEN), by=by, now=now)


def _store(fee: LateFee, worth_usdt: Decimal | None, *, by: str, now: datetime) -> bool:
    stored = LateFee.objects.filter(pk=fee.pk, valued_at__isnull=True)
    changed = stored.update(worth_usdt=worth_usdt, valued_at=now, valued_by=by)
    if changed:
        log.info("late fee valued", fee=str(fee), worth_usdt=str(worth_usdt), by=by)
    return bool(changed)
