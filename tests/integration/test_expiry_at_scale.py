"""Ten thousand positions on two coins that expire at one moment: a handful of venue orders, everybody paid once."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings as project_settings
from django.db.models import Count, Sum
from django.utils import timezone

import audit
from counter.expiring import expiry
from counter.models import Account, Expiry, Option, Position, SyncOrder
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, OpenRequest
from settlement.conversions import rounds
from settlement.models import Conversion
from tests.support import desk
from tests.support.expiring import expiring_option, last_expiry, record_index
from tests.support.factories import make_customer

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

POSITIONS, CUSTOMERS = 10_000, 250
AT_ONCE_USDT = Decimal(300_000)
MOST_VENUE_ORDERS = 3  # of a coin


def open_positions(at) -> None:
    """Half on each coin, three quarters of them in the money, of customers in turn."""
    customers = [make_customer(balance="1000000", now=at - timedelta(days=1)) for _ in range(CUSTOMERS)]
    options = [
        expiring_option(underlying=coin, kind=kind, in_the_money_by=by, expires_at=at)
        for coin, unit in (("BTC", 900), ("ETH", 30))
        for kind, by in (("C", 10 * unit), ("P", 5 * unit), ("C", 2 * unit), ("P", -unit))
    ]
    requests = [
        OpenRequest(
            customer_id=customers[n % CUSTOMERS].pk,
            client_order_id=f"scale-{n}",
            symbol=options[n % len(options)].symbol,
            contracts=1 + n % 3,
        )
        for n in range(POSITIONS)
    ]
    size = project_settings.MAX_BATCH_ORDERS
    for first in range(0, POSITIONS, size):
        outcomes = place_orders(requests=requests[first : first + size], now=at - timedelta(hours=20))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)


def work_off(venue) -> None:
    """What the workers do for both coins until nothing waits, then what counter is told."""
    desk.deliver()
    for coin in project_settings.COINS:
        while rounds.work_off(underlying=coin, venue=venue).orders_left:
            pass
    desk.report()


def total_balance() -> Decimal:
    return Account.objects.exclude(customer=None).aggregate(total=Sum("balance"))["total"]


def test_ten_thousand_positions_end_in_a_handful_of_sales(
    two_systems, venue, paper_venue, venue_account, settings, record_property
):
    settings.EXPIRY_INSTANT_PAYOUT_USDT = AT_ONCE_USDT
    at = last_expiry()
    open_positions(at)
    work_off(venue)
    for coin in project_settings.COINS:
        record_index(coin, expires_at=at)
    before, opened = total_balance(), Conversion.objects.count()

    started = time.monotonic()
    assert expiry.expire_due(now=timezone.now()) == POSITIONS
    ended = time.monotonic()
    work_off(venue)
    settled = time.monotonic()
    expiry.expire_due(now=timezone.now())

    sales = Conversion.objects.order_by("id")[opened:]
    by_coin = {coin: [sale for sale in sales if sale.underlying == coin] for coin in project_settings.COINS}
    sent = [
        order
        for order in paper_venue.state()["orders"]
        if order["account"] == venue_account[0] and order["side"] == "SELL"
    ]
    record_property("ended_seconds", f"{ended - started:.2f}")
    record_property("settled_seconds", f"{settled - ended:.2f}")
    record_property("sales", len(sent))
    assert all(0 < len(of_coin) <= MOST_VENUE_ORDERS for of_coin in by_coin.values())
    assert len(sent) <= MOST_VENUE_ORDERS * len(by_coin)

    ends = dict(Position.objects.values_list("state").annotate(Count("id")))
    assert ends == {"EXERCISED": POSITIONS * 3 // 4, "EXPIRED": POSITIONS // 4}
    exercises = SyncOrder.objects.filter(kind="EXERCISE")
    assert exercises.values("position_id").distinct().count() == exercises.count() == ends["EXERCISED"]
    assert set(exercises.values_list("state", flat=True)) == {"SETTLED"}
    at_once = exercises.filter(payout="instant").aggregate(paid=Sum("amount"))["paid"]
    assert AT_ONCE_USDT - 600 < at_once <= AT_ONCE_USDT
    assert sum(found.paid_at_once for found in Expiry.objects.all()) == at_once
    assert total_balance() == before + exercises.aggregate(paid=Sum("amount"))["paid"]
    assert set(Option.objects.values_list("state", flat=True)) == {"SETTLED"}
    assert set(Expiry.objects.values_list("state", flat=True)) == {"SETTLED"}
    report = audit.run(now=timezone.now(), venue=venue)
    assert (report.broken, report.in_flight, report.unchecked) == (0, 0, [])
