"""Money in and out, for invariants 2, 7 and 9: what the wallet moved is what was booked, and withdrawals are whole.

Statements about counter alone, true in every snapshot of it: each step of a deposit or a withdrawal is one transaction.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from audit.findings import Finding, Result
from audit.reading import Reading
from counter.money.chart import SystemAccount
from ledger.amounts import difference

RESERVED = """
    SELECT (SELECT COALESCE(sum(amount), 0) FROM counter_withdrawal WHERE state = 'RESERVED'),
           (SELECT COALESCE(sum(CASE credit_account_id WHEN %(withdrawals)s THEN amount ELSE -amount END), 0)
            FROM counter_transfer
            WHERE order_id IS NULL AND %(withdrawals)s IN (debit_account_id, credit_account_id))
"""
WITHDRAWALS = """
    WITH steps AS (
        SELECT reference, customer_id, amount,
               max(created_at) FILTER (WHERE kind = 'RESERVATION') AS reserved_at,
               max(created_at) FILTER (WHERE kind = 'CONFIRMATION') AS confirmed_at,
               max(created_at) FILTER (WHERE kind = 'RELEASE') AS released_at
        FROM counter_cashmovement WHERE kind <> 'DEPOSIT' GROUP BY 1, 2, 3
    )
    SELECT COALESCE(w.reference, s.reference), w.state, s.reserved_at, s.confirmed_at, s.released_at,
           count(*) OVER ()
    FROM counter_withdrawal AS w FULL JOIN steps AS s
        ON (s.reference, s.customer_id, s.amount) = (w.reference, w.customer_id, w.amount)
    WHERE (
        w.reserved_at = s.reserved_at
        AND w.confirmed_at IS NOT DISTINCT FROM s.confirmed_at
        AND w.released_at IS NOT DISTINCT FROM s.released_at
        AND CASE w.state
            WHEN 'RESERVED' THEN w.confirmed_at IS NULL AND w.released_at IS NULL
            WHEN 'CONFIRMED' THEN w.confirmed_at IS NOT NULL AND w.released_at IS NULL
            WHEN 'RELEASED' THEN w.released_at IS NOT NULL AND w.confirmed_at IS NULL
        END
    ) IS NOT TRUE
    ORDER BY 1 LIMIT 50
"""
# Alike ones of one moment are told apart by their number only.
LEGS = """
    WITH moved AS (
        SELECT m.reference, m.amount, m.created_at, k.kind,
               COALESCE(k.debit, a.id) AS debit, COALESCE(k.credit, a.id) AS credit
        FROM counter_cashmovement AS m LEFT JOIN counter_account AS a ON a.customer_id = m.customer_id
        LEFT JOIN (VALUES
            ('DEPOSIT', 'deposit', %(external)s, NULL), ('RESERVATION', 'withdrawal', NULL, %(withdrawals)s),
            ('CONFIRMATION', 'withdrawal_confirmed', %(withdrawals)s, %(external)s),
            ('RELEASE', 'withdrawal_released', %(withdrawals)s, NULL)
        ) AS k (movement, kind, debit, credit) ON k.movement = m.kind
        UNION ALL
        SELECT reference, amount, at, 'clearing_payment',
               CASE direction WHEN 'to_desk' THEN %(clearing)s ELSE %(external)s END,
               CASE direction WHEN 'to_desk' THEN %(external)s ELSE %(clearing)s END
        FROM counter_clearingpayment WHERE refusal = ''
    ), should AS (
        SELECT *, row_number() OVER (PARTITION BY debit, credit, amount, kind, created_at) AS nth FROM moved
    ), booked AS (
        SELECT id, debit_account_id AS debit, credit_account_id AS credit, amount, kind, created_at,
               row_number() OVER (
                   PARTITION BY debit_account_id, credit_account_id, amount, kind, created_at ORDER BY id) AS nth
        FROM counter_transfer
        WHERE order_id IS NULL AND (debit_account_id IN (%(external)s, %(withdrawals)s)
                                    OR credit_account_id IN (%(external)s, %(withdrawals)s))
    )
    SELECT s.reference, b.id, COALESCE(s.kind, b.kind), COALESCE(s.amount, b.amount), count(*) OVER ()
    FROM should AS s FULL JOIN booked AS b
        ON (s.debit, s.credit, s.amount, s.kind, s.created_at, s.nth)
         = (b.debit, b.credit, b.amount, b.kind, b.created_at, b.nth)
    WHERE s.reference IS NULL OR b.id IS NULL
    ORDER BY b.id LIMIT 50
"""
ACCOUNTS = {
    "external": int(SystemAccount.EXTERNAL),
    "withdrawals": int(SystemAccount.WITHDRAWALS),
    "clearing": int(SystemAccount.CLEARING),
}


def reserved_is_held(reading: Reading, result: Result) -> None:
    """2: the account `withdrawals` holds what is reserved, no more and no less."""
    reserved, held = reading.counter.row(RESERVED, ACCOUNTS)
    result.checked += 1
    if reserved != held:
        detail = f"{reserved} reserved, the account holds {held}: {difference(held - reserved)} USDT"
        result.broken.add(
            Finding("reserved withdrawals are not what is held for them", "withdrawals", detail)
        )


def withdrawals_fit_their_steps(reading: Reading, result: Result) -> None:
    """7: each withdrawal was reserved once and ended once at most, as its movements say."""
    result.checked += reading.counter.row("SELECT count(*) FROM counter_withdrawal")[0]
    result.broken.extend_from(reading.counter.rows(WITHDRAWALS), _misfit)


def cash_is_booked(reading: Reading, result: Result) -> None:
    """9: each step of money in or out is booked once, and nothing else came from or went to the world."""
    result.checked += reading.counter.row("SELECT count(*) FROM counter_cashmovement")[0]
    result.broken.extend_from(reading.counter.rows(LEGS, ACCOUNTS), _unmatched)


def _misfit(reference: str, state: str | None, *times: datetime | None) -> Finding:
    steps = zip(("reserved", "confirmed", "released"), times, strict=True)
    told = ", ".join(f"{step} {at.isoformat()}" for step, at in steps if at)
    detail = f"{state or 'no row'}; its movements: {told or 'none'}"
    return Finding("withdrawal does not fit its movements", f"withdrawal {reference}", detail)


def _unmatched(reference: str | None, transfer_id: Any, kind: str, amount: Decimal) -> Finding:
    if reference is None:
        return Finding(
            "money in or out that nobody moved", f"counter transfer {transfer_id}", f"{kind} {amount}"
        )
    return Finding("money in or out is not booked once", f"reference {reference}", f"{kind} {amount}")
