"""Between desk ledger and counter's clearing: every leg of the mirror account is some orders' dues, exactly."""

from datetime import datetime
from decimal import Decimal

from infra.db.snapshots import Snapshot
from settlement.book.chart import COUNTER, USDT
from settlement.reconciliation.findings import Finding, Result, Trace

MIRROR = "mirror of clearing is not what the orders came to"
# Legs by primary key after the watermark: those of one conversion were written together. What was disowned belongs to
# no conversion, nor does what was paid, nor what a break has corrected, which counts with what it was of; the audit
# holds the account itself against counter's.
UNEQUAL = """
    WITH mirror AS (SELECT id FROM settlement_deskaccount WHERE code = %(code)s AND asset = %(asset)s), legs AS (
        SELECT t.conversion_id, min(t.id) AS first_id, min(t.created_at) AS at,
               sum(CASE t.debit_account_id WHEN m.id THEN t.amount ELSE -t.amount END) AS amount
        FROM settlement_desktransfer AS t JOIN mirror AS m ON m.id IN (t.debit_account_id, t.credit_account_id)
        WHERE t.id > %(after)s AND t.kind <> 'disown' AND t.break_id IS NULL
            AND t.clearing_payment_id IS NULL
        GROUP BY t.conversion_id, CASE WHEN t.conversion_id IS NULL THEN t.id END
    ), corrections AS (
        SELECT "where" AS place, sum(corrected) AS amount FROM settlement_reconciliationbreak
        WHERE what = %(mirror)s AND corrected <> 0 GROUP BY 1
    ), compared AS (
        SELECT l.conversion_id, l.first_id, l.at, l.amount + COALESCE(c.amount, 0) AS amount,
               COALESCE(s.due, 0) AS due
        FROM legs AS l LEFT JOIN LATERAL (
            SELECT sum(CASE o.kind WHEN 'OPEN' THEN a.due ELSE -a.due END) AS due
            FROM settlement_allocation AS a JOIN acceptance_acceptedorder AS o ON o.id = a.order_id
            WHERE a.conversion_id = l.conversion_id
        ) AS s ON true
        LEFT JOIN corrections AS c ON c.place = COALESCE('conversion ' || l.conversion_id, 'leg ' || l.first_id)
    )
    SELECT conversion_id, first_id, at, amount, due, count(*) OVER () FROM compared WHERE amount <> due
    ORDER BY first_id LIMIT 50
"""


def compare_mirror(desk: Snapshot, *, after_leg: int, result: Result) -> None:
    """Hold the mirror's legs after one against the shares of their conversions' orders."""
    rows = desk.rows(UNEQUAL, {"code": COUNTER, "asset": USDT, "after": after_leg, "mirror": MIRROR})
    result.broken.extend_from(rows, _unequal)


def _unequal(conversion_id: int | None, leg_id: int, at: datetime, amount: Decimal, due: Decimal) -> Finding:
    where = f"conversion {conversion_id}" if conversion_id else f"leg {leg_id}"
    trace = Trace(
        asset=USDT,
        amount=due - amount,
        conversion_id=conversion_id,
        account=COUNTER,
        since=at,
        effect=((COUNTER, USDT, due - amount),),
    )
    return Finding(MIRROR, where, f"legs of {amount} USDT, orders of {due} USDT", trace=trace)
