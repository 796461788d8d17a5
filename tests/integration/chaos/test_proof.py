"""What is lost or doubled is seen, each kind of it."""

import pytest
from django.db import connection

from counter.models import SyncOrder, Transfer
from counter.orders.requests import OpenRequest
from tests.support.factories import make_customer, make_option, place, unique
from tests.support.public_ids import order_id
from tools.chaos.proof import prove
from tools.demo.figures import start_of
from tools.load.heard import Heard

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])


@pytest.fixture
def run():
    """Where a run began, and one order of it that the customer heard of and the desk has settled."""
    run_id = unique("chaos")
    start = start_of(run_id)
    request = OpenRequest(
        customer_id=make_customer().pk,
        client_order_id=f"{run_id}-1",
        symbol=make_option().symbol,
        contracts=1,
    )
    [order] = place(request)
    SyncOrder.objects.filter(pk=order.id).update(state="SETTLED")
    heard = Heard()
    heard.accept(order.client_order_id, order_id(order.id))
    return heard, start, order


def test_a_run_in_which_all_is_stored_and_reported_has_nothing_to_show(run):
    heard, start, _ = run
    proof = prove(heard, start)
    assert (proof.lost, proof.doubled, proof.stored) == ([], [], 1)


def test_an_order_that_was_answered_and_is_not_stored_is_lost(run):
    heard, start, _ = run
    heard.accept(f"{start.run_id}-2", order_id(999))
    assert prove(heard, start).lost == [f"{start.run_id}-2: answered as order 999, counter has none"]


def test_an_order_that_was_never_reported_is_lost_and_named(run):
    heard, start, order = run
    SyncOrder.objects.filter(pk=order.id).update(state="PENDING")
    [lost] = prove(heard, start).lost
    assert lost.startswith(f"order {order.id}: PENDING at counter for ")
    assert lost.endswith("not at the desk")


def test_an_order_answered_with_two_ids_is_doubled(run):
    heard, start, order = run
    heard.accept(order.client_order_id, order_id(order.id + 1))
    assert prove(heard, start).doubled == [f"{order.client_order_id}: answered with two orders"]


def copied(table, row_id, **changes):
    """The id of a second row like the first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [table],
        )
        kept = ", ".join(column for (column,) in cursor.fetchall() if column not in {"id", "asset"})
        given, places = ", ".join(changes), ", ".join(["%s"] * len(changes))
        cursor.execute(
            f"INSERT INTO {table} ({kept}, {given}) SELECT {kept}, {places} FROM {table} WHERE id = %s RETURNING id",
            [*changes.values(), row_id],
        )
        return cursor.fetchone()[0]


def test_a_leg_that_was_booked_twice_is_doubled(run):
    heard, start, order = run
    leg = Transfer.objects.filter(order_id=order.id).first()
    copied("counter_transfer", leg.pk, asset=leg.asset)
    [doubled] = prove(heard, start).doubled
    assert doubled == f"order {order.id}: 2 legs {leg.kind}"


def test_a_position_that_no_order_opened_is_doubled(run):
    heard, start, order = run
    second = copied("counter_position", order.position_id, id=order.position_id + 1000)
    assert prove(heard, start).doubled == [f"position {second}: no order opened it"]
