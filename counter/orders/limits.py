"""What its customer's and its series' limits allow an order: decided in memory, on rows that the lock holds still.

Pure. A customer's limits are exact, since all of it stands on the locked account. A series' is what was left of it when
the feed last measured it, less what this batch opens.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from counter.limits.customer import CustomerLimits
from counter.limits.reached import Reached
from counter.orders.prices import OrderRefused
from counter.orders.requests import RejectCode
from counter.orders.rows import AccountRow, OptionRow
from infra.coordination.ages import lies_ahead

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
MICROSECONDS = SECOND // MICROSECOND
ZERO = Decimal(0)


class OrderLimits:
    """The limits of one batch at one moment; `default` holds for customers who have none of their own.

    Orders are paced by the generic cell rate algorithm: one moment on the account tells all that came before.
    """

    def __init__(self, *, default: CustomerLimits, now: datetime) -> None:
        self._default = default
        self._now = now
        self._latest_due = now + timedelta(seconds=default.burst_seconds)

    def check_pace(self, account: AccountRow) -> None:
        """Refuse an order that comes too soon after those that were accepted before it.

        Raises: OrderRefused.
        """
        if account.room is None:
            account.room = self._room(account)
        if account.accepted >= account.room:
            orders_per_s = self._orders_per_s(account)
            raise OrderRefused(
                RejectCode.TOO_MANY_ORDERS,
                f"more than {orders_per_s} orders a second",
                Reached("orders_per_s", left=0, limit=orders_per_s),
            )

    def check_open(self, account: AccountRow, option: OptionRow, contracts: int, cost: Decimal) -> None:
        """Refuse an open that is too much for its customer, or for its series.

        Raises: OrderRefused.
        """
        limit = self._default.contracts if account.contracts_limit is None else account.contracts_limit
        if account.open_contracts + contracts > limit:
            raise OrderRefused(
                RejectCode.CONTRACTS_LIMIT,
                f"{account.open_contracts} contracts are open, at most {limit} may be",
                Reached("contracts", left=max(limit - account.open_contracts, 0), limit=limit),
            )
        notional = self._default.notional if account.notional_limit is None else account.notional_limit
        if account.open_cost + cost > notional:
            raise OrderRefused(
                RejectCode.NOTIONAL_LIMIT,
                f"{account.open_cost} USDT are open, at most {notional:f} may be",
                Reached("notional", left=max(notional - account.open_cost, ZERO), limit=notional),
            )
        if option.contracts_left is None or option.notional_left is None:
            return  # never measured: no feed has run
        if contracts > option.contracts_left:
            raise _sold_out(option, Reached("contracts", left=option.contracts_left))
        if cost > option.notional_left:
            raise _sold_out(option, Reached("notional", left=option.notional_left))

    def count_open(self, account: AccountRow, option: OptionRow, contracts: int, cost: Decimal) -> None:
        """Count what an accepted open adds."""
        account.open_contracts += contracts
        account.open_cost += cost
        if option.contracts_left is not None and option.notional_left is not None:
            option.contracts_left -= contracts
            option.notional_left -= cost

    def put_down(self, accounts: Iterable[AccountRow]) -> None:
        """Put the accepted orders of the batch down on their accounts."""
        for account in accounts:
            if account.accepted:
                begin = max(self._due_at(account), self._now)
                taken = account.accepted * MICROSECONDS // self._orders_per_s(account)
                account.orders_due_at = begin + taken * MICROSECOND
                account.changed = True

    def _room(self, account: AccountRow) -> int:
        """How many orders may be accepted at this moment."""
        orders_per_s = self._orders_per_s(account)
        burst = orders_per_s * self._default.burst_seconds
        due = self._due_at(account)
        if due <= self._now:
            return burst
        return burst + (self._now - due) // MICROSECOND * orders_per_s // MICROSECONDS

    def _due_at(self, account: AccountRow) -> datetime:
        """When the customer is due. Never later than after a whole burst: a wrong clock has written that."""
        due = account.orders_due_at
        if due is None or lies_ahead(due, now=self._latest_due):
            return self._now
        return due

    def _orders_per_s(self, account: AccountRow) -> int:
        return account.orders_limit or self._default.orders_per_s


def _sold_out(option: OptionRow, reached: Reached) -> OrderRefused:
    return OrderRefused(
        RejectCode.SERIES_LIMIT, f"of {option.symbol} not so much is sold at present", reached
    )
