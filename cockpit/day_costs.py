"""What a day's conversions cost or brought by customer: slippage, the venue's fees and rounding, from orders' shares.

The desk knows orders and no customers, counter knows both: shares are read by conversion, some thousand at a time, and
the customers of their orders from counter's database. So the sums of a cause over all customers are those of the legs.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from infra.db.rows import rows_of
from ledger.decimals import EXACT

CONVERSIONS_A_STATEMENT = 500
USDT = "USDT"
ZERO = Decimal(0)
BOOKED = (
    "SELECT id FROM settlement_conversion WHERE booked_at >= %(begins)s AND booked_at < %(ends)s ORDER BY id"
)
# Gains of the desk are positive: a fee is none, though a payout at fill has its customer bear it.
SHARES = """
    SELECT o.order_id, o.underlying, o.kind = 'CLOSE' AND o.payout = 'at_fill', a.slippage, a.fee, a.rounding
    FROM settlement_allocation AS a JOIN acceptance_acceptedorder AS o ON o.id = a.order_id
    WHERE a.conversion_id = ANY(%s)
"""
CUSTOMERS = """
    SELECT o.id, c.reference FROM counter_syncorder AS o JOIN counter_customer AS c ON c.id = o.customer_id
    WHERE o.id = ANY(%s)
"""


def costs_of(*, begins: datetime, ends: datetime) -> list[list[str]]:
    """Customer, coin, cause, asset and amount, positive for what the desk gained; without lines of nothing.

    Raises: DatabaseError.
    """
    sums: dict[tuple[str, str, str], Decimal] = {}
    for customer, coin, cause, amount in _shares(begins, ends):
        key = customer, coin, cause
        sums[key] = EXACT.add(sums.get(key, ZERO), amount)
    return [
        [customer, coin, cause, USDT, f"{amount:f}"]
        for (customer, coin, cause), amount in sorted(sums.items())
        if amount
    ]


def _shares(begins: datetime, ends: datetime) -> Iterator[tuple[str, str, str, Decimal]]:
    booked = [key for (key,) in rows_of("desk", BOOKED, {"begins": begins, "ends": ends})]
    for first in range(0, len(booked), CONVERSIONS_A_STATEMENT):
        shares = rows_of("desk", SHARES, [booked[first : first + CONVERSIONS_A_STATEMENT]])
        # An order that counter never placed has no customer.
        customers = dict(rows_of("default", CUSTOMERS, [[order for order, *_ in shares]]))
        for order, coin, is_borne, slippage, fee, rounding in shares:
            customer = customers.get(order, "")
            yield customer, coin, "slippage", slippage
            yield customer, coin, "rounding", rounding
            cause = "fees, borne by the customer" if is_borne else "fees"
            yield customer, coin, cause, EXACT.minus(fee)
