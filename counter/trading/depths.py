"""What a coin charges for an order's size: set by people, and where the books stand that it is charged by.

The charge is `counter.pricing.impact`'s. A coin's book at any moment is what the feed measured, and the flows of all
orders since, whose sum each transaction reads: no order waits for another's, and none is left out that is committed.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from counter.models import BookFlow, DepthChange, TradingStatus
from counter.pricing.impact import CoinBook, Depths, ImpactRates, Measures
from infra.db.rows import rows_of
from ledger.decimals import is_multiple

log = structlog.get_logger(__name__)

# Of a depth, USDT: its digits behind the point, and what it has to be below.
UNIT, DEPTH_LIMIT = Decimal("0.000001"), Decimal(10**14)
# Where the books stand of the coins that charge for size: as they were measured, and what was taken since.
BOOKS = """
    SELECT t.underlying, t.delta_depth, t.vega_depth, t.premium_depth,
           coalesce(t.delta_base + coalesce(sum(f.delta), 0), 0) AS delta,
           coalesce(t.vega_base + coalesce(sum(f.vega), 0), 0) AS vega,
           coalesce(t.premium_base + coalesce(sum(f.premium), 0), 0) AS premium
    FROM counter_tradingstatus AS t LEFT JOIN counter_bookflow AS f ON f.underlying = t.underlying
    WHERE t.delta_depth > 0 OR t.vega_depth > 0 OR t.premium_depth > 0 GROUP BY t.id
"""


class DepthRefused(ValueError):
    """The depths cannot be set like this."""


def impact_rates() -> ImpactRates:
    """What the whole depth costs, as the settings have it."""
    return ImpactRates(
        delta=settings.IMPACT_DELTA_RATE,
        vega=settings.IMPACT_VEGA_POINTS,
        premium=settings.IMPACT_PREMIUM_RATE,
        most=settings.IMPACT_MOST_RATE,
    )


def set_depths(*, underlying: str, to: Depths, reason: str, by: str, now: datetime) -> bool:
    """Set what a coin charges for size, from the next batch of orders on; whether it was otherwise before.

    A measure of which None or 0 is given charges nothing. One that charged nothing begins at 0, counts orders from now
    on, and is measured within seconds.

    Raises: DepthRefused for an unknown coin or one that was never judged, what is no depth, or without a reason.
    """
    if underlying not in settings.COINS:
        raise DepthRefused(f"there is no coin {underlying}")
    if not reason.strip():
        raise DepthRefused("a reason is needed")
    for depth in to:
        _check(depth)
    with transaction.atomic():
        status = TradingStatus.objects.select_for_update().filter(underlying=underlying).first()
        if status is None:
            raise DepthRefused(f"{underlying} was not judged yet: is the feed running?")
        changes: dict[str, Any] = {}
        for name, depth in to._asdict().items():
            before = getattr(status, f"{name}_depth")
            if (before or None) == (depth or None):
                continue
            changes[f"{name}_depth"] = depth or None
            if not depth:
                changes[f"{name}_base"] = None
            elif not before:
                changes[f"{name}_base"] = _flown(underlying, name).copy_negate()
        if not changes:
            return False
        TradingStatus.objects.filter(pk=status.pk).update(**changes)
        set_to = {f"{name}_depth": depth or None for name, depth in to._asdict().items()}
        DepthChange.objects.create(underlying=underlying, reason=reason.strip(), by=by, at=now, **set_to)
    log.info("depths were set", coin=underlying, to=to._asdict(), by=by, reason=reason)
    return True


def _check(depth: Decimal | None) -> None:
    if depth is None:
        return
    # is_finite first: comparing a NaN raises.
    if not depth.is_finite() or not 0 <= depth < DEPTH_LIMIT:
        raise DepthRefused(f"a depth has to be 0 at least and less than {DEPTH_LIMIT:f}")
    if not is_multiple(depth, UNIT):
        raise DepthRefused("a depth has 6 decimals at most")


def _flown(underlying: str, measure: str) -> Decimal:
    """How far all orders since ever have moved a measure."""
    flown: Decimal | None = BookFlow.objects.filter(underlying=underlying).aggregate(sum=Sum(measure))["sum"]
    return Decimal(0) if flown is None else flown


def read_books() -> Mapping[str, CoinBook]:
    """The books of the coins that charge for size, as of now."""
    return {
        coin: CoinBook(Depths(*depths), Measures(delta, vega, premium))
        for coin, *depths, delta, vega, premium in rows_of("default", BOOKS)
    }
