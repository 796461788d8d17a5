"""Options that expire within a test: bought the day before, with a record of the index up to their moment."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from counter.models import Account, IndexPrice, Option, Position, SyncOrder
from counter.orders.requests import Order
from tests.support.factories import INDEX, make_option, place_open

# An expiry in the future of every test, for what is done by a clock of the test's own.
EXPIRES_AT = datetime(2026, 12, 4, 8, tzinfo=UTC)
BEFORE = EXPIRES_AT - timedelta(hours=20)  # when positions are opened
AFTER = EXPIRES_AT + timedelta(seconds=15)  # the record of the index is complete by then
LATER = EXPIRES_AT + timedelta(minutes=2)  # no order can be in the middle of anything any more
SECOND = timedelta(seconds=1)


def last_expiry() -> datetime:
    """The last moment of expiry that is an hour old: for what goes by the clocks of both systems and the venue."""
    return (timezone.now() - timedelta(hours=9)).replace(hour=8, minute=0, second=0, microsecond=0)


def expiring_option(
    *,
    underlying: str = "BTC",
    kind: str = "C",
    in_the_money_by: int = 9000,
    expires_at: datetime = EXPIRES_AT,
) -> Option:
    """An option that pays `in_the_money_by` USD for one coin (nothing when negative) at the usual index."""
    sign = 1 if kind == "C" else -1
    return make_option(
        underlying=underlying,
        kind=kind,
        strike=int(INDEX[underlying]) - sign * in_the_money_by,
        days=1,
        now=expires_at - timedelta(hours=20),
    )


def buy(customer, option: Option, *, contracts: int = 1) -> Order:
    """One opening order, the day before."""
    return place_open(customer, option, contracts=contracts, now=option.expires_at - timedelta(hours=20))


def record_index(
    underlying: str = "BTC",
    *,
    price: Decimal | None = None,
    expires_at: datetime = EXPIRES_AT,
    every: timedelta = 10 * SECOND,
    left_out: Iterable[int] = (),
) -> None:
    """Samples of the index over the last half hour; none in the minutes `left_out`, counted from its beginning."""
    starts_at, without = expires_at - timedelta(minutes=30), set(left_out)
    moments = (starts_at + every * number for number in range(timedelta(minutes=30) // every))
    IndexPrice.objects.bulk_create(
        IndexPrice(underlying=underlying, price=price or INDEX[underlying], at=at)
        for at in moments
        if (at - starts_at) // timedelta(minutes=1) not in without
    )


def position_of(order: Order) -> Position:
    """The position that an order is about, as it is now."""
    return Position.objects.get(pk=order.position_id)


def balance_of(customer) -> Decimal:
    """What a customer has."""
    return Account.objects.values_list("balance", flat=True).get(customer=customer) or Decimal(0)


def exercises() -> list[SyncOrder]:
    """The orders that expiries have made, by position."""
    return list(SyncOrder.objects.filter(kind="EXERCISE").order_by("position_id"))
