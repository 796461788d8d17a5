"""Invariants 1 and 2: both books balance, and customers' stored balances are what their transfers add up to.

Each is a statement about one database alone, true in every snapshot of it: nothing here can be in flight.
"""

from decimal import Decimal

from audit.findings import Finding, Result
from audit.reading import Reading
from counter.models import Account, Transfer
from infra.db.snapshots import Snapshot
from ledger import models as ledger
from ledger.amounts import difference
from ledger.posting import trial_balance
from settlement.models import DeskAccount, DeskTransfer

# By their accounts and asset first: what is foreign among millions of legs shows in a few thousand sums.
LEGS = """
    SELECT COALESCE(sum(f.legs), 0),
           COALESCE(sum(f.legs) FILTER (WHERE (d.asset = f.asset AND c.asset = f.asset) IS NOT TRUE), 0)
    FROM (
        SELECT debit_account_id, credit_account_id, asset, count(*) AS legs FROM {transfers} GROUP BY 1, 2, 3
    ) AS f
    LEFT JOIN {accounts} AS d ON d.id = f.debit_account_id LEFT JOIN {accounts} AS c ON c.id = f.credit_account_id
"""
FOREIGN_LEGS = """
    SELECT t.id, t.asset, COALESCE(d.asset, 'no account'), COALESCE(c.asset, 'no account')
    FROM {transfers} AS t
    LEFT JOIN {accounts} AS d ON d.id = t.debit_account_id LEFT JOIN {accounts} AS c ON c.id = t.credit_account_id
    WHERE (d.asset = t.asset AND c.asset = t.asset) IS NOT TRUE LIMIT 50
"""
CUSTOMERS = "SELECT count(*) FROM counter_account WHERE customer_id IS NOT NULL"
BALANCES = """
    WITH flows AS MATERIALIZED (
        SELECT debit_account_id, credit_account_id, sum(amount) AS amount FROM counter_transfer GROUP BY 1, 2
    ), moved AS (
        SELECT account_id, sum(amount) AS amount FROM (
            SELECT credit_account_id AS account_id, amount FROM flows
            UNION ALL
            SELECT debit_account_id, -amount FROM flows
        ) AS sides GROUP BY 1
    )
    SELECT a.code, a.balance, COALESCE(m.amount, 0), count(*) OVER ()
    FROM counter_account AS a LEFT JOIN moved AS m ON m.account_id = a.id
    WHERE a.customer_id IS NOT NULL AND (a.balance >= 0 AND a.balance = COALESCE(m.amount, 0)) IS NOT TRUE
    ORDER BY a.id LIMIT 50
"""


def trial_balances(reading: Reading, result: Result) -> None:
    """1: debits equal credits in each asset of both books, and every leg is of its accounts' asset."""
    _trial_balance("counter", reading.counter, Account, Transfer, result)
    _trial_balance("desk", reading.desk, DeskAccount, DeskTransfer, result)


def _trial_balance(
    book: str,
    side: Snapshot,
    account_model: type[ledger.Account],
    transfer_model: type[ledger.Transfer],
    result: Result,
) -> None:
    for balance in trial_balance(account_model, transfer_model):
        if balance.total:
            detail = f"debits less credits are {difference(balance.total)} {balance.asset}"
            result.broken.add(Finding("trial balance is not zero", f"{book} {balance.asset}", detail))

    def foreign(transfer_id: int, asset: str, debit: str, credit: str) -> Finding:
        detail = f"{asset} from an account in {credit} to one in {debit}"
        return Finding("transfer is not of its accounts' asset", f"{book} transfer {transfer_id}", detail)

    accounts, transfers = account_model._meta.db_table, transfer_model._meta.db_table
    legs, foreign_legs = side.row(LEGS.format(accounts=accounts, transfers=transfers))
    result.checked += int(legs)
    if foreign_legs:
        rows = side.rows(FOREIGN_LEGS.format(accounts=accounts, transfers=transfers))
        result.broken.extend((foreign(*row) for row in rows), total=int(foreign_legs))


def stored_balances(reading: Reading, result: Result) -> None:
    """2: what is stored on a customer's account is the sum of its transfers and not negative."""
    result.checked = reading.counter.row(CUSTOMERS)[0]
    result.broken.extend_from(reading.counter.rows(BALANCES), _wrong_balance)


def _wrong_balance(code: str, stored: Decimal | None, moved: Decimal) -> Finding:
    negative = stored is not None and stored < 0
    what = "balance is negative" if negative else "balance is not the sum of its transfers"
    apart = "" if stored is None else f": {difference(stored - moved)} USDT"
    return Finding(what, code, f"stored {stored}, transfers add up to {moved}{apart}")
