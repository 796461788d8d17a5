"""What a day's conversions cost or brought by customer: slippage, the venue's fees and rounding, from orders' shares.

The desk knows orders and no customers, counter knows both: shares are read by conversion, some thousand at a time, and
the customers of their orders from counter's database. What the legs have and no share has is a line without a
customer: what a price's eighth decimal leaves, conversions without orders, and fees in a third asset. Of those a share
has the worth in USDT and the legs have the asset, so the line takes the worth back and has the asset. So each cause
adds up to its legs in every asset.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal

from cockpit.day_conversions import booked_between
from infra.db.rows import rows_of
from ledger.decimals import EXACT
from settlement.book.chart import FEES, PNL, ROUNDING

SHARES_AT_ONCE = 10_000  # or those of one conversion, CONVERSION_MAX_ORDERS at most
USDT = "USDT"
ZERO = Decimal(0)
BOOKED = """
    SELECT id, order_count FROM settlement_conversion
    WHERE id > %(after)s AND id <= %(last)s AND booked_at >= %(begins)s AND booked_at < %(ends)s
    ORDER BY id LIMIT %(count)s
"""
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
SLIPPAGE, FEE, FEE_BORNE, ROUNDED = "slippage", "fees", "fees, borne by the customer", "rounding"
# The causes of shares by those of the legs, as `days.RESULTS` names them.
OF_LEGS = {f"{PNL}, slippage": SLIPPAGE, f"{FEES}, fee": FEE, f"{ROUNDING}, rounding": ROUNDED}
NOT_BY_ORDER = ", not by order"

Line = tuple[str, str, str, Decimal]


def costs_of(*, begins: datetime, ends: datetime, results: Iterable[Line]) -> list[list[str]]:
    """Customer, coin, cause, asset and amount, positive for what the desk gained; without lines of nothing.

    `results` are the desk's of that time: cause as `days.RESULTS` has it, coin, asset and amount.

    Raises: DatabaseError.
    """
    sums: dict[tuple[str, str, str, str], Decimal] = {}
    for customer, coin, cause, amount in _shares(begins, ends):
        _add(sums, (customer, coin, cause, USDT), amount)
    for key, amount in _left(sums, results).items():
        _add(sums, key, amount)
    return [[*key, f"{amount:f}"] for key, amount in sorted(sums.items()) if amount]


def _left(
    sums: dict[tuple[str, str, str, str], Decimal], results: Iterable[Line]
) -> dict[tuple[str, str, str, str], Decimal]:
    """What the legs have beyond the shares, by coin, cause and asset."""
    left: dict[tuple[str, str, str, str], Decimal] = {}
    for said, coin, asset, amount in results:
        if said in OF_LEGS:
            _add(left, ("", coin, OF_LEGS[said] + NOT_BY_ORDER, asset), amount)
    for (_, coin, cause, asset), amount in sums.items():
        of = FEE if cause == FEE_BORNE else cause
        _add(left, ("", coin, of + NOT_BY_ORDER, asset), EXACT.minus(amount))
    return left


def _add(
    sums: dict[tuple[str, str, str, str], Decimal], key: tuple[str, str, str, str], amount: Decimal
) -> None:
    sums[key] = EXACT.add(sums.get(key, ZERO), amount)


def _shares(begins: datetime, ends: datetime) -> Iterator[Line]:
    for conversions in _conversions(begins, ends):
        shares = rows_of("desk", SHARES, [conversions])
        # An order that counter never placed has no customer.
        customers = dict(rows_of("default", CUSTOMERS, [[order for order, *_ in shares]]))
        for order, coin, is_borne, slippage, fee, rounding in shares:
            customer = customers.get(order, "")
            yield customer, coin, SLIPPAGE, slippage
            yield customer, coin, ROUNDED, rounding
            yield customer, coin, FEE_BORNE if is_borne else FEE, EXACT.minus(fee)


def _conversions(begins: datetime, ends: datetime) -> Iterator[list[int]]:
    """Ids of those that were booked then, so many at once as have SHARES_AT_ONCE orders, one at least."""
    some: list[int] = []
    orders = 0
    for key, count in _booked(begins, ends):
        if some and orders + count > SHARES_AT_ONCE:
            yield some
            some, orders = [], 0
        some.append(key)
        orders += count
    if some:
        yield some


def _booked(begins: datetime, ends: datetime) -> Iterator[tuple[int, int]]:
    """Id and number of orders of each that was booked then; those without orders have no shares, and count as one."""
    if (found := booked_between(begins, ends)) is None:
        return
    first, last = found
    span = {"begins": begins, "ends": ends, "last": last, "count": SHARES_AT_ONCE}
    after = first - 1
    while True:
        page = rows_of("desk", BOOKED, {**span, "after": after})
        yield from ((key, max(count, 1)) for key, count in page)
        if len(page) < SHARES_AT_ONCE:
            return
        after = page[-1][0]
