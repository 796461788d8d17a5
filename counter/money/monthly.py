"""A month of a customer's ledger in sums that add up from its opening balance to its closing one.

Costs and proceeds are at fair value: the spread of every order and the venue's fee on payouts at fill stand apart.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.db import connection

from counter.money.statements import balance_before, ids_between

# Reads the customer's own entries of the month and, of what came in by orders, the orders.
SUMS = """
    WITH entries AS MATERIALIZED (
        SELECT kind, amount, order_id, true AS is_credit FROM counter_transfer
        WHERE credit_account_id = %(account)s AND credit_account_id >= 1000 AND id >= %(first)s AND id < %(end)s
        UNION ALL
        SELECT kind, amount, order_id, false FROM counter_transfer
        WHERE debit_account_id = %(account)s AND debit_account_id >= 1000 AND id >= %(first)s AND id < %(end)s
    )
    SELECT count(*),
           COALESCE(sum(e.amount) FILTER (
               WHERE is_credit AND order_id IS NULL AND e.kind <> 'withdrawal_released'), 0),
           COALESCE(sum(e.amount) FILTER (WHERE NOT is_credit AND order_id IS NULL), 0),
           COALESCE(sum(e.amount) FILTER (WHERE is_credit AND e.kind = 'withdrawal_released'), 0),
           COALESCE(sum(e.amount) FILTER (
               WHERE NOT is_credit AND order_id IS NOT NULL AND e.kind <> 'spread'), 0),
           COALESCE(sum(e.amount) FILTER (WHERE NOT is_credit AND e.kind = 'spread'), 0),
           COALESCE(sum(e.amount) FILTER (WHERE is_credit AND order_id IS NOT NULL), 0),
           COALESCE(sum(o.spread) FILTER (WHERE e.kind <> 'payout'), 0),
           COALESCE(sum(o.settlement_fee) FILTER (WHERE e.kind = 'payout'), 0)
    FROM entries AS e LEFT JOIN counter_syncorder AS o ON o.id = CASE WHEN e.is_credit THEN e.order_id END
"""


@dataclass(frozen=True, slots=True)
class MonthlyStatement:
    """USDT; opening + deposits - withdrawals + withdrawals_released - costs + proceeds - spread - fees = closing."""

    begins_at: datetime
    ends_at: datetime
    entries: int
    opening_balance: Decimal
    deposits: Decimal
    withdrawals: Decimal
    withdrawals_released: Decimal
    costs: Decimal
    proceeds: Decimal
    spread: Decimal
    fees: Decimal
    closing_balance: Decimal


def monthly_statement(*, account_id: int, year: int, month: int) -> MonthlyStatement:
    """The sums of a month by UTC; of one that has not ended, of what there is."""
    begins_at = datetime(year, month, 1, tzinfo=UTC)
    ends_at = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    within = ids_between(account_id=account_id, from_time=begins_at, to_time=ends_at)
    opening, _ = balance_before(account_id, within.first)
    closing, last = balance_before(account_id, within.end)
    with connection.cursor() as cursor:
        # Up to the entry that left the closing balance: of what has come since the sums know nothing.
        cursor.execute(SUMS, {"account": account_id, "first": within.first, "end": last + 1})
        entries, deposits, withdrawals, released, costs, spread, paid, withheld, fees = cursor.fetchone()
    return MonthlyStatement(
        begins_at=begins_at,
        ends_at=ends_at,
        entries=entries,
        opening_balance=opening,
        deposits=deposits,
        withdrawals=withdrawals,
        withdrawals_released=released,
        costs=costs,
        proceeds=paid + withheld + fees,
        spread=spread + withheld,
        fees=fees,
        closing_balance=closing,
    )
