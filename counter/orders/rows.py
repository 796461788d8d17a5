"""What a batch of orders is decided on and what it writes: rows as they stand while their customers' locks are held."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from counter.orders.requests import Order
from counter.pricing.impact import CoinBook, Measures
from ledger.decimals import EXACT

ZERO = Decimal("0.000000")


class AccountRow(msgspec.Struct):
    """A customer's locked account: its balance, what is open, when an order is due, the customer's own limits."""

    id: int
    balance: Decimal
    open_contracts: int
    open_cost: Decimal
    orders_due_at: datetime | None
    contracts_limit: int | None
    notional_limit: Decimal | None
    orders_limit: int | None
    changed: bool = False
    accepted: int = 0
    room: int | None = None  # how many may be accepted at this moment; reckoned for the first one

    def release(self, contracts: int, cost: Decimal) -> None:
        """Count what is not open any more."""
        self.open_contracts -= contracts
        self.open_cost -= cost
        self.changed = True


class PositionRow(msgspec.Struct):
    """A position as it stands within the batch; `is_new` when the batch itself opens it."""

    id: int
    customer_id: int
    option_id: int
    contracts: int
    remaining: int
    unpaid: int
    cost: Decimal
    proceeds: Decimal
    state: str
    opened_at: datetime
    is_new: bool = False
    changed: bool = False

    @property
    def open_cost(self) -> Decimal:
        """The share of its cost that what is left of it has, rounded down to 6 decimals."""
        if self.remaining == self.contracts:
            return self.cost
        if not self.remaining:
            return ZERO
        return Decimal(int(self.cost.scaleb(6, EXACT)) * self.remaining // self.contracts).scaleb(-6, EXACT)


class OptionRow(msgspec.Struct):
    """An option with its current quote, if it has one, and how its coin is traded, if that has ever been judged.

    What is left of its series' limits was measured by the feed; what the batch opens is taken off.
    """

    id: int
    symbol: str
    underlying: str
    multiplier: Decimal
    state: str
    expires_at: datetime
    bid: Decimal | None
    ask: Decimal | None
    index_price: Decimal | None
    quoted_at: datetime | None
    coin_state: str | None
    spread_rate: Decimal | None
    judged_at: datetime | None
    stop: str | None
    pays_at_once: bool | None
    contracts_left: int | None
    notional_left: Decimal | None
    leaps: bool | None
    # USDT for one coin, the lowest ask and the highest bid of the last seconds; None where the feed has not quoted.
    seen_ask: Decimal | None
    seen_bid: Decimal | None
    admitted_permille: int | None  # of the coin's orders (`counter.trading.back_pressure`)
    # Of an option on one coin, as the feed quoted it; None where its coin charges nothing for size.
    delta: Decimal | None = None
    vega: Decimal | None = None
    # One for all options of a coin in a batch; None where the coin charges nothing for size.
    book: CoinBook | None = None


@dataclass(slots=True)
class FirmQuoteRow:
    """A firm quote as it stands within the batch; `order_id` when an order, perhaps of this batch, has used it."""

    id: int
    customer_id: int
    kind: str
    option_id: int
    position_id: int | None
    contracts: int
    premium: Decimal
    index_price: Decimal
    coin: Decimal
    fair: Decimal
    spread: Decimal
    amount: Decimal
    given_at: datetime
    expires_at: datetime
    order_id: int | None


@dataclass(frozen=True, slots=True)
class ReservedRow:
    """What a firm quote that may still be used would move in its coin's book."""

    quote_id: int
    customer_id: int
    underlying: str
    flow: Measures


class TransferRow(NamedTuple):
    """One leg to be written; amounts in USDT."""

    debit: int
    credit: int
    amount: Decimal
    kind: str
    order_id: int
    balance_after: Decimal | None


@dataclass(frozen=True, slots=True)
class BatchRows:
    """What a batch of requests is decided on; the accounts are locked, and nothing else here can change under that."""

    accounts: dict[int, AccountRow]
    orders: dict[tuple[int, str], Order]
    positions: dict[int, PositionRow]
    options: list[OptionRow]
    quotes: dict[int, FirmQuoteRow]
    order_ids: list[int]
    reserved: Sequence[ReservedRow] = ()
    is_heard: bool = False  # whether an endpoint hears of its payouts
