"""Series that end within a run are ordinary ones: priced, ended, and settled at the average of what was recorded."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from counter.expiring.expiry import expire_due
from counter.expiring.index_record import averages_so_far
from counter.market.quotes import record_index
from counter.market.symbols import parse_symbol
from counter.models import Option, Position, SettlementIndex
from tests.support.factories import INDEX, make_customer, make_quote, place_open
from tools.chaos.expiring import FIRST_AFTER, THEN_EVERY, list_expiring

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = timedelta(seconds=1)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def listed(now):
    record_index(prices=INDEX, now=now - SECOND)
    return list_expiring(begins_at=now, seconds=120, now=now)


def test_calls_and_puts_of_both_coins_end_at_each_moment(listed, now):
    assert listed.moments == (now + FIRST_AFTER, now + FIRST_AFTER + THEN_EVERY)
    options = Option.objects.filter(symbol__in=listed.symbols)
    found = {(each.underlying, each.kind, each.expires_at) for each in options}
    assert found == {(coin, kind, at) for coin in INDEX for kind in "CP" for at in listed.moments}
    assert len(options) == len(listed.symbols) == 2 * len(found)
    assert all(
        parse_symbol(symbol).expiry_at < now for symbol in listed.symbols
    )  # no real series has the name


def test_the_record_before_the_run_lets_them_be_quoted_and_settled(listed, now):
    for moment in listed.moments:
        assert None not in averages_so_far(INDEX, expires_at=moment, now=now).values()
    option = Option.objects.filter(expires_at=listed.moments[0], underlying="BTC", kind="C").order_by(
        "strike"
    )[0]
    make_quote(option, now=now)
    opened = place_open(make_customer(), option, now=now)
    for second in range(0, int(FIRST_AFTER.total_seconds()), 5):
        record_index(prices=INDEX, now=now + second * SECOND)
    assert listed.unsettled() == 4
    expire_due(now=listed.moments[-1] + 2 * timedelta(minutes=1))
    assert Position.objects.get(pk=opened.position_id).state == "EXERCISED"
    assert listed.positions() == {"EXERCISED": 1}
    assert SettlementIndex.objects.get(underlying="BTC", expires_at=listed.moments[0]).price == Decimal(
        90_000
    )
