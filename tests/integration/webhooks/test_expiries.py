"""The end of an option reaches its holders: what was exercised, what expired, and what was paid at once."""

from collections import Counter
from decimal import Decimal

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from counter.access import webhook_endpoints
from counter.expiring import expiry
from counter.webhooks import delivering
from tests.support.api import Caller
from tests.support.expiring import buy, expiring_option, last_expiry, record_index
from tests.support.factories import make_customer

pytestmark = pytest.mark.django_db(transaction=True)


def endpoint_of(customer, url):
    """The secret of an endpoint."""
    return webhook_endpoints.register(
        customer_id=customer and customer.pk, url=url, now=timezone.now()
    ).secret


def test_exercised_and_expired_positions_are_told_once_as_the_api_tells_them(receiver, settings):
    settings.EXPIRY_INSTANT_PAYOUT_USDT = Decimal(100)  # of two that pay 90 one is paid at fill
    expired_at = last_expiry()
    customer, other = make_customer(now=expired_at), make_customer(now=expired_at)
    paying = expiring_option(expires_at=expired_at)
    worthless = expiring_option(in_the_money_by=-9000, expires_at=expired_at)
    for option in (paying, paying, worthless):
        buy(customer, option)
    buy(other, worthless)
    own, of_exchange = (
        endpoint_of(who, receiver.url(way)) for who, way in ((customer, "ok"), (None, "status/200"))
    )
    record_index(expires_at=expired_at)
    for _ in range(2):
        expiry.expire_due(now=timezone.now())
    while delivering.deliver(clock=timezone.now):
        pass

    messages = receiver.of("ok")
    told = [Webhook(own).verify(each["body"], each["headers"]) for each in messages]
    assert Counter(each["type"] for each in told) == {
        "position.exercised": 2,
        "position.expired": 1,
        "payout.credited": 1,
    }
    caller = Caller(customer)
    for each in told:
        name = "orders" if each["type"] == "payout.credited" else "positions"
        assert each["data"] == caller.get(f"{name}/{each['data']['id']}").json()
        assert set(each) == {"type", "timestamp", "data"}
    ended = {each["data"]["id"]: each["data"] for each in told if each["type"] != "payout.credited"}
    assert sorted((each["state"], each["proceeds"], each["unpaid"]) for each in ended.values()) == [
        ("exercised", "0.000000", 1),
        ("exercised", "90.000000", 0),
        ("expired", "0.000000", 0),
    ]
    [paid] = [each["data"] for each in told if each["type"] == "payout.credited"]
    assert (paid["type"], paid["proceeds"]) == ("exercise", "90.000000")
    assert paid["client_order_id"] == f"exercise/{paid['position_id']}"

    everybodys = receiver.of("status/200")
    bodies = [Webhook(of_exchange).verify(each["body"], each["headers"]) for each in everybodys]
    assert Counter(each["customer"] for each in bodies) == {customer.reference: 4, other.reference: 1}
    assert {each["headers"]["webhook-id"] for each in messages} < {
        each["headers"]["webhook-id"] for each in everybodys
    }
