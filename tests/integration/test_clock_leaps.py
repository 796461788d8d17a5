"""A database server whose clock leaps, as after a failover to a host that keeps another time."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from counter.models import SyncOrder
from counter.orders.queue import order_queue
from infra.coordination import clock
from infra.coordination.clock import ClockUnknown
from tests.support.api import Caller, error_of
from tests.support.factories import make_customer, make_option, unique

pytestmark = pytest.mark.django_db(transaction=True)

NEAR = timedelta(seconds=1)


@contextmanager
def server_ahead(by):
    """Have the server tell new connections another time, until the block ends."""
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA leapt; CREATE FUNCTION leapt.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
            f" $$ SELECT pg_catalog.clock_timestamp() + interval '{by}' $$;"
            f' ALTER DATABASE "{name}" SET search_path = leapt, pg_catalog, public'
        )
    order_queue.stop()
    connection.close()
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" RESET search_path; DROP SCHEMA leapt CASCADE')
        order_queue.stop()
        connection.close()


def test_a_new_connection_measures_the_servers_clock():
    connection.close()
    connection.ensure_connection()
    assert abs(clock.of("default").now() - timezone.now()) < NEAR


@pytest.mark.parametrize("by", ["1 hour", "-1 hour"])
def test_while_the_servers_clock_is_in_doubt_no_order_is_placed_and_it_goes_on_when_it_is_back(
    broker_url, by
):
    caller = Caller(make_customer())

    def order():
        body = {
            "type": "open",
            "client_order_id": unique("o"),
            "symbol": make_option().symbol,
            "contracts": 1,
        }
        return caller.post("orders", body)

    assert order().status_code == 201
    with server_ahead(by):
        connection.ensure_connection()
        with pytest.raises(ClockUnknown):
            clock.of("default").now()
        error_of(order(), 503)
        ready = Client().get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["clock"]["ok"]) == (503, False)
        assert SyncOrder.objects.count() == 1
    connection.ensure_connection()
    assert order().status_code == 201
    assert abs(SyncOrder.objects.latest("id").placed_at - timezone.now()) < NEAR
    assert Client().get("/readyz").status_code == 200
