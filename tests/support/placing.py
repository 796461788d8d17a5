"""One order at a fixed moment, and what is left of it: for the tests that place orders."""

from datetime import UTC, datetime
from decimal import Decimal

from counter.models import Account, Position, SyncOrder, Transfer
from counter.orders.placing import place_orders
from counter.orders.requests import CloseRequest, OpenRequest, Rejected
from tests.support.factories import unique

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
COST_OF_ONE = Decimal("22.612500")  # 0.01 BTC x 0.025 x 90,000 USDT, and half a percent
PROCEEDS_OF_ONE = Decimal("17.910000")  # 0.01 BTC x 0.020 x 90,000 USDT, less half a percent


def one(request, *, now=NOW):
    [outcome] = place_orders(requests=[request], now=now)
    return outcome


def opening(customer, option, **changes):
    fields = {"client_order_id": unique("o"), "symbol": option.symbol, "contracts": 1} | changes
    return OpenRequest(customer_id=customer.pk, **fields)


def closing(customer, **fields):
    return CloseRequest(customer_id=customer.pk, **{"client_order_id": unique("c")} | fields)


def balance(customer):
    return Account.objects.get(customer=customer).balance


def assert_rejected(outcome, code):
    assert isinstance(outcome, Rejected), outcome
    assert outcome.code == code
    assert outcome.message


def assert_nothing_stored():
    assert not SyncOrder.objects.exists()
    assert not Position.objects.exists()
    assert not Transfer.objects.exclude(kind="deposit").exists()
