"""What its customer's and its series' limits allow an order: decided in memory, on rows that the lock holds still.

Pure. A customer's limits are exact, since all of it stands on his locked account. A series' is what was left of it when
the feed last measured it, less what this batch opens.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from counter.order_prices import Refused
from counter.order_requests import RejectCode
from counter.order_rows import AccountRow, OptionRow

ZERO = Decimal(0)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class CustomerLimits:
    """What a customer may have open, in contracts and in USDT of their cost, and how many orders a second he may place.

    So many orders as come in `burst_seconds` may come at once, if none came before.
    """

    contracts: int
    notional: Decimal
    orders_per_s: int
    burst_seconds: int


@dataclass(slots=True)
class OrderLimits:
    """The limits of one batch at one moment; `default` holds for customers who have none of their own."""

    default: CustomerLimits
    now: datetime
    _opened: dict[int, tuple[int, Decimal]] = field(default_factory=lambda: defaultdict(lambda: (0, ZERO)))

    def check_pace(self, account: AccountRow) -> None:
        """Refuse an order that comes too soon after those that were accepted before it.

        Raises: Refused.
        """
        due = account.orders_due_at
        if due is None or due <= self.now:
            return
        orders_per_s = account.orders_limit or self.default.orders_per_s
        burst = orders_per_s * self.default.burst_seconds
        if due - self.now > (burst - 1) * SECOND / orders_per_s:
            raise Refused(RejectCode.TOO_MANY_ORDERS, f"more than {orders_per_s} orders a second")

    def count(self, account: AccountRow) -> None:
        """Count an accepted order, as the generic cell rate algorithm does: one moment says all of those before."""
        due = account.orders_due_at
        begin = self.now if due is None or due < self.now else due
        account.orders_due_at = begin + SECOND / (account.orders_limit or self.default.orders_per_s)
        account.changed = True

    def check_open(self, account: AccountRow, option: OptionRow, contracts: int, cost: Decimal) -> None:
        """Refuse an open that is too much for its customer, or for its series.

        Raises: Refused.
        """
        limit = self.default.contracts if account.contracts_limit is None else account.contracts_limit
        if account.open_contracts + contracts > limit:
            raise Refused(
                RejectCode.CONTRACTS_LIMIT,
                f"{account.open_contracts} contracts are open, at most {limit} may be",
            )
        notional = self.default.notional if account.notional_limit is None else account.notional_limit
        if account.open_cost + cost > notional:
            raise Refused(
                RejectCode.NOTIONAL_LIMIT, f"{account.open_cost} USDT are open, at most {notional:f} may be"
            )
        if option.contracts_left is None or option.notional_left is None:
            return  # never measured: no feed has run
        opened, spent = self._opened[option.id]
        if opened + contracts > option.contracts_left or spent + cost > option.notional_left:
            raise Refused(RejectCode.SERIES_LIMIT, f"of {option.symbol} no more is sold at present")

    def opened(self, account: AccountRow, option: OptionRow, contracts: int, cost: Decimal) -> None:
        """Count what an accepted open adds."""
        account.open_contracts += contracts
        account.open_cost += cost
        before = self._opened[option.id]
        self._opened[option.id] = (before[0] + contracts, before[1] + cost)
