"""What a coin charges for an order's size: set by people, and where the books stand that it is charged by.

The charge is `counter.pricing.impact`'s. A coin's book at any moment is what the feed measured, and the flows of all
orders since, whose sum each transaction reads: no order waits for another's, and none is left out that is committed.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from counter.models import BookFlow, DepthChange, TradingStatus
from counter.pricing.impact import CoinBook, Depths, ImpactRates, Measures
from infra.db.rows import rows_of
from infra.reasons import plain_reason
from ledger.decimals import is_multiple, product

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
# Of a depth, USDT: its digits behind the point, and what it has to be below.
UNIT, DEPTH_LIMIT = Decimal("0.000001"), Decimal(10**14)
# Less than this share of a depth in force charges so much more that it is more likely a slip than a wish.
FAR_BELOW_RATE = Decimal("0.1")
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


class DepthFarBelow(DepthRefused):
    """So small a depth is set only by a person who says that it is meant."""


class DepthsSet(NamedTuple):
    """What a coin charged for size before and charges now."""

    underlying: str
    before: Depths
    after: Depths

    @property
    def is_changed(self) -> bool:
        """Whether it is otherwise than before."""
        return self.before != self.after

    def __str__(self) -> str:
        changes = [
            f"{name} {depth_text(before)} -> {depth_text(after)}"
            for name, before, after in zip(Depths._fields, self.before, self.after, strict=True)
            if before != after
        ]
        return f"{self.underlying}: {', '.join(changes) or 'as it was'}"


def impact_rates() -> ImpactRates:
    """What the whole depth costs, as the settings have it."""
    return ImpactRates(
        delta=settings.IMPACT_DELTA_RATE,
        vega=settings.IMPACT_VEGA_POINTS,
        premium=settings.IMPACT_PREMIUM_RATE,
        most=settings.IMPACT_MOST_RATE,
    )


def set_depths(*, underlying: str, to: Depths, reason: str, by: str, now: datetime) -> bool:
    """Set all that a coin charges for size, as `change_depths` does, however small; whether it was otherwise before.

    Raises: DepthRefused.
    """
    return change_depths(
        underlying=underlying, to=to._asdict(), reason=reason, by=by, now=now, far_below=True
    ).is_changed


def change_depths(
    *,
    underlying: str,
    to: Mapping[str, Decimal | None],
    reason: str,
    by: str,
    now: datetime,
    far_below: bool = False,
    seen: Mapping[str, Decimal | None] | None = None,
) -> DepthsSet:
    """Set what a coin charges for size, by measure and in USDT, from the next batch of orders on; how it was, and is.

    A measure that is not named stays as it is; None or 0 charges nothing. In a coin that charged nothing orders count
    from this moment, from 0 on; the feed measures where the book really stands within seconds. `seen` is what
    the person saw in force.

    Raises: DepthRefused for an unknown coin or one that was never judged, what is no depth, without a reason, or where
    what is named was set otherwise than `seen` meanwhile;
    DepthFarBelow for less than FAR_BELOW_RATE of what is in force without `far_below`, by which a person says that it
    is meant.
    """
    if underlying not in settings.COINS:
        raise DepthRefused(f"there is no coin {underlying}")
    reason = plain_reason(reason)
    if not reason:
        raise DepthRefused("a reason is needed")
    for depth in to.values():
        _check(depth)
    with transaction.atomic():
        status = TradingStatus.objects.select_for_update().filter(underlying=underlying).first()
        if status is None:
            raise DepthRefused(f"{underlying} was not judged yet: is the feed running?")
        before = depths_of(status)
        if seen is not None:
            _check_seen(before, seen, to)
        after = before._replace(**{name: depth or None for name, depth in to.items()})
        if after == before:
            return DepthsSet(underlying, before, after)
        if not far_below:
            _check_slip(underlying, before, after)
        changes: dict[str, Any] = {f"{name}_depth": depth for name, depth in after._asdict().items()}
        for name, flown in _flown(underlying).items():
            if not any(before) or getattr(status, f"{name}_base") is None:
                changes[f"{name}_base"] = flown.copy_negate()
        TradingStatus.objects.filter(pk=status.pk).update(**changes)
        DepthChange.objects.create(
            underlying=underlying,
            reason=reason,
            by=by,
            at=now,
            **{f"{name}_depth": depth for name, depth in after._asdict().items()},
        )
    log.info("depths were set", coin=underlying, to=after._asdict(), by=by, reason=reason)
    return DepthsSet(underlying, before, after)


def depths_of(status: TradingStatus) -> Depths:
    """What a coin charges for size."""
    return Depths(*(getattr(status, f"{name}_depth") or None for name in Depths._fields))


def depth_text(depth: Decimal | None) -> str:
    """A depth as people read it."""
    return f"{depth:,.6f}".rstrip("0").rstrip(".") + " USDT" if depth else "none"


def _check(depth: Decimal | None) -> None:
    if depth is None:
        return
    # is_finite first: comparing a NaN raises.
    if not depth.is_finite() or not 0 <= depth < DEPTH_LIMIT:
        raise DepthRefused(f"a depth has to be 0 at least and less than {DEPTH_LIMIT:f}")
    if not is_multiple(depth, UNIT):
        raise DepthRefused("a depth has 6 decimals at most")


def _check_seen(before: Depths, seen: Mapping[str, Decimal | None], to: Mapping[str, Decimal | None]) -> None:
    """What somebody else has set meanwhile is seen before it is set again."""
    for name in to:
        depth = getattr(before, name)
        if depth != (seen[name] or None):
            raise DepthRefused(
                f"the {name} depth was set to {depth_text(depth)} meanwhile: open this page again"
            )


def _check_slip(underlying: str, before: Depths, after: Depths) -> None:
    """A depth far below the one in force, as of a zero too few, charges every order many times as much."""
    for name, old, new in zip(Depths._fields, before, after, strict=True):
        if old and new and new < product(old, FAR_BELOW_RATE):
            raise DepthFarBelow(
                f"a {name} depth of {depth_text(new)} for {underlying} is less than a tenth of the {depth_text(old)} "
                "in force, and charges more than ten times as much for size; say that it is meant"
            )


def _flown(underlying: str) -> dict[str, Decimal]:
    """How far all orders since ever have moved each measure."""
    sums = {name: Sum(name) for name in Depths._fields}
    flown = BookFlow.objects.filter(underlying=underlying).aggregate(**sums)
    return {name: flown[name] or ZERO for name in sums}


def read_books() -> Mapping[str, CoinBook]:
    """The books of the coins that charge for size, as of now."""
    return {
        coin: CoinBook(Depths(*depths), Measures(delta, vega, premium))
        for coin, *depths, delta, vega, premium in rows_of("default", BOOKS)
    }
