"""A customer's ledger: the transfers of his account, newest first, each with the balance it left."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

MAX_ID = 2**63 - 1

# Each side is read backwards from its own partial index and stops at the limit, however long the history is.
ENTRIES = """
    SELECT id, kind, CASE WHEN is_credit THEN amount ELSE -amount END, balance_after, order_id, created_at
    FROM (
        (SELECT id, kind, amount, balance_after, order_id, created_at, true AS is_credit
         FROM counter_transfer
         WHERE credit_account_id = %(account)s AND credit_account_id >= 1000 AND id < %(before)s
         ORDER BY id DESC LIMIT %(limit)s)
        UNION ALL
        (SELECT id, kind, amount, balance_after, order_id, created_at, false
         FROM counter_transfer
         WHERE debit_account_id = %(account)s AND debit_account_id >= 1000 AND id < %(before)s
         ORDER BY id DESC LIMIT %(limit)s)
    ) AS entries
    ORDER BY id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One transfer seen from the customer: `amount` USDT is positive when it came in."""

    id: int
    kind: str
    amount: Decimal
    balance_after: Decimal
    order_id: int | None
    created_at: datetime


def ledger_entries(*, account_id: int, before_id: int | None, limit: int) -> list[LedgerEntry]:
    """Up to `limit` entries older than `before_id`, newest first."""
    with connection.cursor() as cursor:
        cursor.execute(ENTRIES, {"account": account_id, "before": before_id or MAX_ID, "limit": limit})
        return [LedgerEntry(*row) for row in cursor.fetchall()]
