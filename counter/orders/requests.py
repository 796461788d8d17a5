"""What a customer asks for and what the answer is: requests, accepted orders, rejections with stable codes."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from counter.contracts import SyncEvent
from counter.limits.reached import Reached


class RejectCode(StrEnum):
    """Stable codes of refused orders; nothing is stored for a refused order, so its id may be used again."""

    ACCOUNT_NOT_FOUND = "account_not_found"
    OPTION_NOT_FOUND = "option_not_found"
    OPTION_HALTED = "option_halted"
    OPTION_EXPIRED = "option_expired"
    OPENS_ENDED = "opens_ended"
    COIN_HALTED = "coin_halted"
    TRADING_STOPPED = "trading_stopped"
    QUOTE_MISSING = "quote_missing"
    QUOTE_STALE = "quote_stale"
    PRICE_MOVED = "price_moved"
    AMOUNT_TOO_SMALL = "amount_too_small"
    AMOUNT_TOO_LARGE = "amount_too_large"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    POSITION_NOT_FOUND = "position_not_found"
    POSITION_TOO_SMALL = "position_too_small"
    CLIENT_ORDER_ID_REUSED = "client_order_id_reused"
    QUOTE_NOT_FOUND = "quote_not_found"
    QUOTE_EXPIRED = "quote_expired"
    QUOTE_USED = "quote_used"
    QUOTE_MISMATCH = "quote_mismatch"
    TOO_MANY_QUOTES = "too_many_quotes"
    TOO_MANY_ORDERS = "too_many_orders"
    CONTRACTS_LIMIT = "contracts_limit"
    NOTIONAL_LIMIT = "notional_limit"
    SERIES_LIMIT = "series_limit"
    PAYOUT_AT_FILL_ONLY = "payout_at_fill_only"
    DESK_BEHIND = "desk_behind"


class OpenRequest(msgspec.Struct, frozen=True):
    """Buy `contracts` of `symbol` for at most `max_cost` USDT, at the price of a firm quote if `quote_id` names one."""

    customer_id: int
    client_order_id: str
    symbol: str
    contracts: int
    max_cost: Decimal | None = None
    quote_id: int | None = None


class CloseRequest(msgspec.Struct, frozen=True):
    """Sell `contracts` (all that remain if None) of a position, named by its id or by the order that opened it.

    With a firm quote's `quote_id` at its price, and as many contracts as it says if None.

    `payout` is `instant` (the quoted proceeds, now) or `at_fill` (what the venue pays, less its fee, when settled;
    within bounds, see docs/decisions/payouts-at-fill.md).
    """

    customer_id: int
    client_order_id: str
    position_id: int | None = None
    opened_by: str | None = None
    contracts: int | None = None
    min_proceeds: Decimal | None = None
    payout: str = "instant"
    quote_id: int | None = None


OrderRequest = OpenRequest | CloseRequest


class Order(msgspec.Struct):
    """An accepted order, as stored: premium and coin in coin, the rest in USDT (`amount`: cost or proceeds)."""

    id: int
    customer_id: int
    client_order_id: str
    kind: str
    option_id: int
    position_id: int
    symbol: str
    underlying: str
    contracts: int
    premium: Decimal
    index_price: Decimal
    coin: Decimal
    fair: Decimal
    spread: Decimal
    amount: Decimal
    limit: Decimal | None
    payout: str
    state: str
    placed_at: datetime
    quote_id: int | None = None

    def sync_event(self, source: str) -> SyncEvent:
        """The order as the desk is told of it."""
        return SyncEvent(
            source=source,
            order_id=self.id,
            kind=self.kind,  # type: ignore[arg-type]
            symbol=self.symbol,
            underlying=self.underlying,
            contracts=self.contracts,
            coin=self.coin,
            index_price=self.index_price,
            fair=self.fair,
            payout=self.payout,  # type: ignore[arg-type]
            placed_at=self.placed_at,
        )


class Accepted(msgspec.Struct, frozen=True):
    """The order is committed; `replayed` when an earlier request with the same content had placed it."""

    order: Order
    replayed: bool = False


class Rejected(msgspec.Struct, frozen=True):
    """Nothing was done; `code` says why for programs, `message` for people.

    `detail` is what else programs are told: `path` is the place in the request that stood against it.
    """

    code: RejectCode
    message: str
    reached: Reached | None = None
    detail: dict[str, str] | None = None


Outcome = Accepted | Rejected

# Not the customer's doing, and over soon: see counter/orders/throttle.py.
BEHIND = Rejected(
    RejectCode.DESK_BEHIND, "more is offered of this coin than can be hedged soon; nothing was done"
)
