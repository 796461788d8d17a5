"""Customers in front of the trade page, without a browser. Imports are late: this loads before Django's set-up."""

import pytest


@pytest.fixture
def option(transactional_db):
    from tests.support.factories import make_option

    return make_option()


@pytest.fixture
def new_visitor(transactional_db, monkeypatch):
    from django.db import connections

    from counter.access.admission import admissions
    from counter.orders.queue import order_queue
    from tests.support.factories import make_customer
    from tests.support.visiting import Visitor

    # Connections that threads keep would hold the test database when it is to be dropped.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    yield lambda balance="1000": Visitor(make_customer(balance=balance))
    order_queue.stop()
    admissions.stop()


@pytest.fixture
def visitor(new_visitor):
    return new_visitor()


@pytest.fixture
def another(new_visitor):
    return new_visitor()
