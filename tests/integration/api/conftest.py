"""An option for sale, two customers who call, and the desk. Imports are late: this loads before Django's set-up."""

from decimal import Decimal

import pytest


@pytest.fixture
def option(transactional_db):
    from tests.support.factories import make_option

    return make_option()


@pytest.fixture
def new_caller(transactional_db, monkeypatch):
    from django.db import connections

    from counter.access.admission import admissions
    from counter.orders.queue import order_queue
    from tests.support.api import Caller
    from tests.support.factories import make_customer

    # Connections that threads keep would hold the test database when it is to be dropped.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)

    def make(balance="1000", **options):
        return Caller(make_customer(balance=balance), **options)

    yield make
    order_queue.stop()
    admissions.stop()


@pytest.fixture
def caller(new_caller):
    return new_caller()


@pytest.fixture
def another(new_caller):
    return new_caller()


@pytest.fixture
def desk(transactional_db):
    from tests.support.signing import SignedClient

    return SignedClient()


@pytest.fixture
def settle(transactional_db):
    """Reports one order as settled, due to its firm price or to what is given."""
    from django.utils import timezone

    from counter.contracts import SettlementReport
    from counter.models import SyncOrder
    from counter.orders.settlements import take_reports

    def take(order_id, due=None):
        order = SyncOrder.objects.get(pk=order_id)
        due = order.fair if due is None else Decimal(due)
        now = timezone.now()
        report = SettlementReport(
            order_id=order_id,
            conversion_id=1,
            price=Decimal("89999.5"),
            value=due,
            fee=Decimal("0.01"),
            due=due,
            settled_at=now,
        )
        assert take_reports(reports=[report], now=now).taken == [order_id]
        return report

    return take
