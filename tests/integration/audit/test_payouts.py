"""Invariant 9: an order that moved more, less or oftener than its price is found."""

from tests.support.tampering import broken, tampered

TRANSFER, ORDER = "counter_transfer", "counter_syncorder"
PAID_TWICE = """
    INSERT INTO counter_transfer (debit_account_id, credit_account_id, asset, amount, kind, order_id, created_at)
    SELECT debit_account_id, credit_account_id, asset, amount, kind, order_id, now()
    FROM counter_transfer WHERE order_id = %s AND kind = 'payout'
"""
PAID_TO_ANOTHER = """
    UPDATE counter_transfer SET credit_account_id = (
        SELECT max(id) FROM counter_account WHERE id <> credit_account_id AND customer_id IS NOT NULL)
    WHERE order_id = %s
"""


def test_payout_at_fill_that_is_not_deposited_exactly_once_is_found(past, check):
    order_id = past.closed_at_fill.id
    for table, change in (
        (TRANSFER, PAID_TWICE),
        (TRANSFER, PAID_TO_ANOTHER),
        (TRANSFER, "DELETE FROM counter_transfer WHERE order_id = %s AND kind = 'payout'"),
        (TRANSFER, "UPDATE counter_transfer SET amount = amount - 0.000001 WHERE order_id = %s"),
        (ORDER, "UPDATE counter_syncorder SET amount = amount + 0.000001 WHERE id = %s"),
        (ORDER, "UPDATE counter_syncorder SET amount = 0, settlement_due = 0 WHERE id = %s"),
        (ORDER, "UPDATE counter_syncorder SET state = 'SYNCED' WHERE id = %s"),  # paid, yet not settled
    ):
        with tampered("default", table, change, [order_id]):
            found = broken(check())
        what = "payout at fill is not deposited exactly once"
        assert found[9] == {(what, f"order {order_id}")}, change


def test_lost_leg_of_an_order_is_found(past, check):
    for order, kind in ((past.opened, "spread"), (past.opened, "open"), (past.closed, "close")):
        change = "DELETE FROM counter_transfer WHERE order_id = %s AND kind = %s"
        with tampered("default", TRANSFER, change, [order.id, kind]):
            found = broken(check())
        assert found[9] == {(f"legs of the {order.kind.lower()} are not its price", f"order {order.id}")}


def test_money_moved_for_an_order_that_is_not_there_is_found(past, check):
    change = """INSERT INTO counter_transfer (debit_account_id, credit_account_id, asset, amount, kind, order_id,
                                              created_at)
                VALUES (1, 2, 'USDT', 5, 'close', 777000, now())"""
    with tampered("default", TRANSFER, change):
        found = broken(check())
    assert found[9] == {("money moved for an order that is not here", "order 777000")}
