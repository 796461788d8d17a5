"""Orders as customers send and read them; these classes are also what the OpenAPI schema says."""

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from django.conf import settings
from msgspec import Meta

from counter.api.errors import Problem
from counter.api.fields import (
    Amount,
    ClientOrderId,
    Coin,
    Contracts,
    OrderName,
    OrderType,
    Payout,
    Premium,
    Price,
    Symbol,
    Usdt,
    coin,
    premium,
    read_amount,
    usdt,
)
from counter.api.ids import FirmQuoteId, OrderCursor, OrderId, PositionId, named_row
from counter.api.times import TimedQuery
from counter.contracts import Moment
from counter.models import SyncOrder
from counter.orders.exercise_names import shown_name
from counter.orders.requests import CloseRequest, OpenRequest, Order, OrderRequest
from counter.public_ids import Kind, public_id

OrderState = Annotated[Literal["pending", "synced", "settled"], Meta(title="OrderState")]


class OpenOrder(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="open"):
    """Buy contracts at the present ask; `max_cost` refuses the order when the price has moved above it.

    Without `max_cost` and `quote_id` it is refused when the price has just risen far above what was quoted before.
    With `quote_id` at the price of that firm quote, which has to be for the same symbol and contracts.
    """

    client_order_id: ClientOrderId
    symbol: Symbol
    contracts: Contracts
    max_cost: Amount | None = None
    quote_id: FirmQuoteId | None = None

    def colons(self) -> int:
        """How many colons its JSON needs; see `counter.api.duplicate_fields`."""
        given = (self.max_cost is not None) + (self.quote_id is not None)
        return 4 + given + self.client_order_id.count(":")

    def request(self, customer_id: int) -> OrderRequest:
        """What the customer asks of counter."""
        return OpenRequest(
            customer_id=customer_id,
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            contracts=self.contracts,
            max_cost=read_amount(self.max_cost),
            quote_id=named_row(Kind.FIRM_QUOTE, self.quote_id),
        )


class CloseOrder(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="close"):
    """Sell contracts of a position (all that are left unless `contracts` says how many) at the present bid.

    The position is named by `position_id` or by `opened_by`, the client_order_id of the order that opened it: one of
    the two. With payout `at_fill` the customer gets, later, what the venue really paid, less its fee, within 2 % of
    `fair`. With `quote_id` at the price of that firm quote, which has to be for the same position and contracts; its
    payout is `instant`. Without `min_proceeds` and `quote_id` it is refused when the price has just fallen far.
    """

    client_order_id: ClientOrderId
    position_id: PositionId | None = None
    opened_by: ClientOrderId | None = None
    contracts: Contracts | None = None
    min_proceeds: Amount | None = None
    payout: Payout = "instant"
    quote_id: FirmQuoteId | None = None

    def __post_init__(self) -> None:
        if (self.position_id is None) == (self.opened_by is None):
            raise ValueError("give one of position_id and opened_by")

    def colons(self) -> int:
        """How many colons its JSON needs; see `counter.api.duplicate_fields`."""
        return (
            3  # the type, the name, and one of the two that name the position
            + self.client_order_id.count(":")
            + (0 if self.opened_by is None else self.opened_by.count(":"))
            + (self.contracts is not None)
            + (self.min_proceeds is not None)
            + (self.payout != "instant")
            + (self.quote_id is not None)
        )

    def request(self, customer_id: int) -> OrderRequest:
        """What the customer asks of counter."""
        return CloseRequest(
            customer_id=customer_id,
            client_order_id=self.client_order_id,
            position_id=named_row(Kind.POSITION, self.position_id),
            opened_by=self.opened_by,
            contracts=self.contracts,
            min_proceeds=read_amount(self.min_proceeds),
            payout=self.payout,
            quote_id=named_row(Kind.FIRM_QUOTE, self.quote_id),
        )


AnyOrder = OpenOrder | CloseOrder


class PlacedOrder(msgspec.Struct):
    """An accepted order, exactly as it was accepted: the answer to the same request sent again is the same."""

    id: OrderId
    client_order_id: OrderName
    type: OrderType
    symbol: Symbol
    contracts: Contracts
    position_id: PositionId
    premium: Premium
    index_price: Price
    coin: Coin
    fair: Annotated[str, Meta(description="USDT, 6 decimals: coin at the index price.")]
    spread: Annotated[str, Meta(description="USDT, 6 decimals: what Crossbook keeps.")]
    cost: Usdt | None
    proceeds: Annotated[Usdt | None, Meta(description="null until paid when the payout is at_fill.")]
    max_cost: Usdt | None
    min_proceeds: Usdt | None
    payout: Payout
    placed_at: Moment
    quote_id: Annotated[FirmQuoteId | None, Meta(description="Of the firm quote that it was placed at.")]


class Settlement(msgspec.Struct):
    """How the desk settled an order at the venue."""

    price: Price
    value: Annotated[str, Meta(description="USDT, 8 decimals: the order's coin at that price.")]
    fee: Annotated[str, Meta(description="USDT, 8 decimals: the order's share of the venue's commission.")]
    due: Annotated[str, Meta(description="USDT, 6 decimals: what passed between counter and desk.")]
    settled_at: Moment


class StoredOrder(PlacedOrder):
    """An order as it stands now: `pending` towards the desk, `synced` with it, or `settled` at the venue."""

    state: OrderState
    settlement: Settlement | None


class OrderQuery(TimedQuery, kw_only=True):
    """Filters of orders; the times are those of `placed_at`."""

    cursor: OrderCursor | None = None
    client_order_id: OrderName | None = None
    state: OrderState | None = None
    symbol: Symbol | None = None


class OrderPage(msgspec.Struct):
    """Orders, newest first; `next_cursor` asks for the older ones."""

    results: list[StoredOrder]
    next_cursor: str | None


class OrderBatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """Up to 1,000 orders, decided one after the other in this order."""

    orders: Annotated[list[AnyOrder], Meta(min_length=1, max_length=settings.MAX_BATCH_ORDERS)]


class OrderOutcome(msgspec.Struct, omit_defaults=True):
    """What became of one order of a batch: the status and body that it would have had if sent alone."""

    status: int
    order: PlacedOrder | None = None
    replayed: bool = False
    error: Problem | None = None


class OrderOutcomes(msgspec.Struct):
    """One outcome for each order, in the order of the request."""

    results: list[OrderOutcome]


def placed_order(order: Order) -> PlacedOrder:
    """The facts of an accepted order that never change."""
    return PlacedOrder(*_facts(order, order.amount if order.payout == "instant" else None))


def stored_order(row: SyncOrder) -> StoredOrder:
    """An order with where it stands."""
    settled = row.state == SyncOrder.State.SETTLED
    facts = _facts(row, row.amount if row.payout == "instant" or settled else None)
    fields = (*facts, row.state.lower(), _settlement(row) if settled else None)
    return StoredOrder(*fields)


def _facts(order: Order | SyncOrder, amount: Decimal | None) -> tuple[Any, ...]:
    """The fields of PlacedOrder in their order."""
    opening = order.kind == "OPEN"
    paid = None if amount is None else usdt(amount)
    limit = None if order.limit is None else usdt(order.limit)
    return (
        public_id(Kind.ORDER, order.id),
        shown_name(order.client_order_id),
        order.kind.lower(),
        order.symbol,
        order.contracts,
        public_id(Kind.POSITION, order.position_id),
        premium(order.premium),
        coin(order.index_price),
        coin(order.coin),
        usdt(order.fair),
        usdt(order.spread),
        paid if opening else None,
        None if opening else paid,
        limit if opening else None,
        None if opening else limit,
        order.payout,
        order.placed_at,
        None if order.quote_id is None else public_id(Kind.FIRM_QUOTE, order.quote_id),
    )


def _settlement(row: SyncOrder) -> Settlement | None:
    if row.settlement_price is None or row.settled_at is None:
        return None
    value, fee, due = row.settlement_value, row.settlement_fee, row.settlement_due
    assert value is not None and fee is not None and due is not None  # noqa: S101, PT018 - reported together
    return Settlement(coin(row.settlement_price), coin(value), coin(fee), usdt(due), row.settled_at)
