"""A feed that begins to lead judges old quotes by its own time: those of before are nobody's fault any more.

As after a failover of the database: its first tick may fail, is judged all the same, and a halt would outlast it.
"""

from datetime import timedelta

import pytest
from django.utils import timezone

from counter.models import TradingStatus
from counter.orders.placing import place_orders
from counter.orders.requests import OpenRequest
from counter.trading.watch import Watch
from tests.support.factories import make_customer, make_option, make_quote, unique

pytestmark = pytest.mark.django_db

PAUSE = timedelta(seconds=20)


def state(watch, now):
    watch.judge(now=now)
    return TradingStatus.objects.get(underlying="BTC").state


def outcome(option, customer, now):
    request = OpenRequest(
        customer_id=customer.pk, client_order_id=unique("o"), symbol=option.symbol, contracts=1
    )
    [found] = place_orders(requests=[request], now=now)
    return getattr(found, "code", "accepted")


@pytest.fixture
def began_at():
    """When the new feed began to lead; the one before quoted until 20 s earlier, and found nothing wrong."""
    return timezone.now()


@pytest.fixture
def option(began_at):
    found = make_option()
    make_quote(found, now=began_at - PAUSE)
    assert state(Watch(started_at=began_at - PAUSE), began_at - PAUSE) == "NORMAL"
    return found


def test_old_quotes_halt_no_coin_that_is_quoted_soon_and_nobody_trades_at_them(option, began_at):
    customer, second = make_customer(balance="1000"), timedelta(seconds=1)
    watch = Watch(started_at=began_at)
    assert outcome(option, customer, began_at) == "coin_halted"  # for nobody watches
    assert state(watch, began_at + second) == "NORMAL"
    assert outcome(option, customer, began_at + second) == "quote_stale"
    make_quote(option, now=began_at + 2 * second)
    assert state(watch, began_at + 2 * second) == "NORMAL"
    assert outcome(option, customer, began_at + 2 * second) == "accepted"


def test_a_leader_that_never_quotes_halts_its_coins(option, began_at):
    watch = Watch(started_at=began_at)
    found = [state(watch, began_at + timedelta(seconds=after)) for after in (3, 4, 8)]
    assert found == ["NORMAL", "WIDE", "HALTED"]
