"""Invariants 1 and 2: a book that does not balance, and balances that are not their transfers', are found."""

from tests.support.tampering import broken, tampered


def test_transfer_of_another_asset_than_its_accounts_is_found(past, check):
    change = "UPDATE counter_transfer SET asset = 'BTC' WHERE kind = 'open' AND order_id = %s"
    with tampered("default", "counter_transfer", change, [past.opened.id]):
        report = check()
    ((what, where),) = broken(report)[1]
    assert what == "transfer is not of its accounts' asset"
    assert where.startswith("counter transfer ")
    assert report.result(1).broken.listed[0].detail == "BTC from an account in USDT to one in USDT"


def test_leg_of_a_lost_account_is_found(past, check):
    change = (
        "UPDATE settlement_desktransfer SET credit_account_id = 9999 WHERE kind = 'open' AND asset = 'ETH'"
    )
    with tampered("desk", "settlement_desktransfer", change):
        found = broken(check())[1]
    assert {("trial balance is not zero", "desk ETH"), ("trial balance is not zero", "desk ?")} < found
    assert len(found) == 3


def test_stored_balance_that_is_not_its_transfers_is_found(past, check):
    change = "UPDATE counter_account SET balance = balance + 0.000001 WHERE customer_id = %s"
    with tampered("default", "counter_account", change, [past.customer.pk]):
        report = check()
    what = "balance is not the sum of its transfers"
    assert broken(report) == {2: {(what, f"customer:{past.customer.pk}")}}


def test_negative_balance_is_found(past, check):
    change = "UPDATE counter_account SET balance = -1 WHERE customer_id = %s"
    with tampered(
        "default",
        "counter_account",
        change,
        [past.customer.pk],
        without="account_balance_not_negative",
        constraint="CHECK (balance >= 0)",
    ):
        report = check()
    assert broken(report) == {2: {("balance is negative", f"customer:{past.customer.pk}")}}
