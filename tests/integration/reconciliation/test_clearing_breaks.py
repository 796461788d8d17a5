"""Clearing that counter and the desk see differently, and a mirror that is not what the orders came to."""

from datetime import timedelta
from decimal import Decimal

from settlement.models import (
    ReconciliationRun,
)
from settlement.reconciliation import book, clearing
from tests.support import desk
from tests.support.breaks import open_breaks
from tests.support.factories import make_customer, make_option, place_open
from tests.support.tampering import tampered


def test_clearing_that_differs_is_traced_to_its_order(past, run):
    change = "UPDATE counter_transfer SET amount = amount + 1 WHERE order_id = %s AND kind = 'open'"
    with tampered("default", "counter_transfer", change, [past.opened.id]):
        made = run()
        row = open_breaks()[clearing.DIFFERS]
        assert (row.order_id, row.amount, row.asset) == (past.opened.id, Decimal(1), "USDT")
        assert made.orders_until == past.opened.id - 1
        assert run().closed == 0
    made = run()
    assert (made.closed, made.orders_until) == (1, past.closed_at_fill.id + 2)


def test_order_that_the_desk_lost_is_a_break_until_it_is_taken_in(past, run):
    order = place_open(make_customer(), make_option())
    run()
    row = open_breaks()[clearing.NOT_HERE]
    assert (row.order_id, row.amount) == (order.id, order.fair)
    desk.deliver()
    assert run().closed == 1
    row.refresh_from_db()
    assert "taken in by queue" in row.closed_by


def test_clearing_that_counter_lost_or_has_for_no_order_is_found(past, run):
    with tampered(
        "default",
        "counter_transfer",
        "DELETE FROM counter_transfer WHERE order_id = %s AND kind = 'open'",
        [past.opened.id],
    ):
        run()
        assert open_breaks()[clearing.NO_CLEARING].order_id == past.opened.id
    change = """INSERT INTO counter_transfer (debit_account_id, credit_account_id, asset, amount, kind, created_at)
                VALUES (3, 1, 'USDT', 5, 'gift', now())"""
    with tampered("default", "counter_transfer", change):
        run()
        assert open_breaks()[clearing.OF_NO_ORDER].amount == 5
    run()
    assert open_breaks() == {}


def test_mirror_that_is_not_what_the_orders_came_to_is_found(past, run):
    conversion_id = past.conversion_ids[0]
    change = """UPDATE settlement_desktransfer SET amount = amount + 1 WHERE id = (
                SELECT t.id FROM settlement_desktransfer t JOIN settlement_deskaccount a ON a.id = t.debit_account_id
                WHERE t.conversion_id = %s AND a.code = 'counter')"""
    with tampered("desk", "settlement_desktransfer", change, [conversion_id]):
        run(after=timedelta(minutes=10))
        row = open_breaks()[book.MIRROR]
        assert (row.conversion_id, row.amount) == (conversion_id, Decimal(-1))
        assert ReconciliationRun.objects.latest("id").legs_until == 0
    assert run().closed == 1
