"""A payout at fill, from the order to the deposit: within its bounds in any market, and in both books."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

import audit
from counter.expiring import expiry
from counter.models import Account, Position, Quote, SyncOrder
from settlement.models import Allocation
from tests.support import desk
from tests.support.expiring import buy, expiring_option, last_expiry, record_index
from tests.support.factories import make_customer, make_option, place_close, place_open
from tools.stack.supervision import wait_until

CONTRACTS = 50
FAIR = Decimal(900)  # of 0.01 coin at a bid of 0.02 and an index of 90,000


def close_of(opening, venue, paper_venue, *, sold_at):
    """The close's stored order, paid, after the market has moved between the two."""
    paper_venue.set_price("BTCUSDT", str(sold_at))
    close = place_close(opening, payout="at_fill")
    return settled(close.id, venue)


def settled(order_id, venue):
    """The order once it is: a price that the desk has just read may have gone when its order arrives."""

    def done():
        desk.run_desk(venue)
        return SyncOrder.objects.get(pk=order_id).state == "SETTLED"

    assert wait_until(done, within_seconds=60)
    return SyncOrder.objects.get(pk=order_id)


@pytest.fixture
def opening(two_systems, venue):
    opened = place_open(make_customer(), make_option(), contracts=CONTRACTS)
    desk.run_desk(venue)
    return opened


@pytest.mark.parametrize(
    ("sold_at", "paid"),
    [
        (80_000, FAIR * Decimal("0.98")),
        (90_500, None),
        (180_000, FAIR * Decimal("1.02")),
    ],
)
def test_a_close_at_fill_is_paid_the_fill_within_its_bounds(opening, venue, paper_venue, sold_at, paid):
    before = Account.objects.get(customer_id=opening.customer_id).balance
    order = close_of(opening, venue, paper_venue, sold_at=sold_at)
    assert (order.coin, order.fair, order.state) == (Decimal("0.01"), FAIR, "SETTLED")
    brought = order.settlement_value - order.settlement_fee
    if paid is None:
        paid = brought.quantize(Decimal("0.000001"), "ROUND_DOWN")
    assert order.amount == order.settlement_due == paid
    assert Account.objects.get(customer_id=opening.customer_id).balance == before + paid
    assert Position.objects.get(pk=opening.position_id).proceeds == paid
    share = Allocation.objects.get(order__order_id=order.pk)
    beyond = brought - paid
    is_bounded = abs(beyond) >= Decimal("0.000001")
    assert (share.slippage, share.rounding) == ((beyond, 0) if is_bounded else (0, beyond))
    assert not audit.run(now=timezone.now(), venue=venue).broken


def test_at_an_old_price_a_close_at_fill_leaves_the_spread_of_an_instant_one(opening, venue):
    """One that left nothing was paid 546 where an instant one was paid 498."""
    twin = place_open(make_customer(), make_option(), contracts=CONTRACTS)
    desk.run_desk(venue)
    quoted_at = timezone.now() - timedelta(seconds=21)
    Quote.objects.update(quoted_at=quoted_at)
    now = quoted_at + timedelta(seconds=21)
    instant = place_close(twin, now=now)
    at_fill = place_close(opening, payout="at_fill", now=now)
    desk.run_desk(venue)
    paid = SyncOrder.objects.get(pk=at_fill.id).amount
    # Two percent times the square of 2.1: what is left is sold at the venue for the same price, less its fee.
    assert instant.amount == FAIR * (1 - Decimal("0.0882"))
    assert instant.amount * Decimal("0.998") < paid < instant.amount
    assert not audit.run(now=timezone.now(), venue=venue).broken


@pytest.mark.parametrize(("sold_at", "paid"), [(80_000, "0.98"), (180_000, "1.02")])
def test_an_exercise_at_fill_is_paid_the_fill_within_its_bounds(
    two_systems, venue, paper_venue, settings, sold_at, paid
):
    settings.EXPIRY_INSTANT_PAYOUT_USDT = Decimal(0)
    at = last_expiry()
    opened = buy(
        make_customer(now=at - timedelta(days=1)), expiring_option(expires_at=at), contracts=CONTRACTS
    )
    desk.run_desk(venue)
    record_index(expires_at=at)
    paper_venue.set_price("BTCUSDT", str(sold_at))
    expiry.expire_due(now=timezone.now())
    exercise = SyncOrder.objects.get(kind="EXERCISE", position_id=opened.position_id)
    order = settled(exercise.pk, venue)
    assert order.amount == order.fair * Decimal(paid)
    assert not audit.run(now=timezone.now(), venue=venue).broken
