"""Counter's clearing added up by runs of order ids, for the desk to hold against its own book.

Legs of the clearing account lie by order id, so a run of ids is read off a few blocks at any size of the table.
"""

from datetime import datetime

from django.db import connection

from counter.contracts import ClearingSum, ClearingSums
from counter.money.chart import USDT, SystemAccount

# Ids go with time: from the newest back, the first that is old enough.
LAST_BEFORE = "SELECT id FROM counter_syncorder WHERE placed_at < %s AND id > %s ORDER BY id DESC LIMIT 1"
SUMS = """
    SELECT (order_id - %(after)s - 1) / %(width)s AS run, count(DISTINCT order_id),
           sum(CASE credit_account_id WHEN %(clearing)s THEN amount ELSE -amount END)
    FROM counter_transfer
    WHERE order_id > %(after)s AND order_id <= %(until)s AND %(clearing)s IN (debit_account_id, credit_account_id)
    GROUP BY 1 ORDER BY 1
"""
OF_NO_ORDER = """
    SELECT COALESCE(sum(CASE credit_account_id WHEN %(clearing)s THEN amount ELSE -amount END), 0)
    FROM counter_transfer WHERE order_id IS NULL AND %(clearing)s IN (debit_account_id, credit_account_id)
"""


def clearing_sums(*, after_id: int, placed_before: datetime, width: int, runs: int) -> ClearingSums:
    """What clearing got (positive: counter owes the desk) from the orders after `after_id` that were placed before a
    moment: at most `runs` sums, each over `width` order ids; runs without a leg are left out."""
    with connection.cursor() as cursor:
        cursor.execute(LAST_BEFORE, [placed_before, after_id])
        last = cursor.fetchone()
        until = min(last[0], after_id + width * runs) if last else after_id
        asked = {"after": after_id, "until": until, "width": width, "clearing": int(SystemAccount.CLEARING)}
        cursor.execute(SUMS, asked)
        sums = [
            ClearingSum(first_id=after_id + 1 + run * width, orders=orders, asset=USDT, amount=amount)
            for run, orders, amount in cursor.fetchall()
        ]
        cursor.execute(OF_NO_ORDER, asked)
        (of_no_order,) = cursor.fetchone()
    return ClearingSums(
        sums=sums, until_id=until, is_all=last is None or until == last[0], of_no_order=of_no_order
    )
