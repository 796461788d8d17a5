"""What a customer has: balance, living positions with what they would bring now, the newest orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from counter.containment import Terms
from counter.models import Account, Position, Quote, SyncOrder
from counter.pricing import PricingError, close_proceeds
from counter.trading.trading_status import Trading, terms, trading_by_coin
from trade import words

LIVING = (Position.State.OPEN, Position.State.CLOSING)
SHOWN_POSITIONS = 100
SHOWN_ORDERS = 8


@dataclass(frozen=True, slots=True)
class Holding:
    """A position that lives: USDT it would bring now and, with what was paid out already, the profit of closing it.

    `worth` is None where there is no price now; `why` says so then.
    """

    position: Position
    worth: Decimal | None
    profit: Decimal | None
    is_stale: bool
    state: str
    why: str

    @property
    def can_close(self) -> bool:
        """Whether contracts are left in an option that lives."""
        return self.worth is not None


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order with what its state means."""

    order: SyncOrder
    state: str
    meaning: str

    @property
    def kind(self) -> str:
        """What it did."""
        return words.ORDER_KINDS[self.order.kind]

    @property
    def is_open(self) -> bool:
        """Whether it bought."""
        return self.order.kind == SyncOrder.Kind.OPEN

    @property
    def is_paid_later(self) -> bool:
        """Whether its payout waits for the fill."""
        return self.order.payout == SyncOrder.Payout.AT_FILL and not self.is_settled

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.order.state == SyncOrder.State.SETTLED


@dataclass(frozen=True, slots=True)
class Book:
    """All of it at one moment; `worth` sums the positions that have a price."""

    balance: Decimal | None
    holdings: list[Holding]
    are_more: bool
    worth: Decimal
    orders: list[PlacedOrder]
    at: datetime


def balance_of(customer_id: int) -> Decimal | None:
    """USDT the customer can spend; None without an account."""
    return Account.objects.filter(customer_id=customer_id).values_list("balance", flat=True).first()


def book_of(*, customer_id: int, now: datetime) -> Book:
    """Read a customer's book."""
    living = (
        Position.objects.filter(customer_id=customer_id, state__in=LIVING)
        .select_related("option__quote")
        .order_by("-pk")
    )
    positions = list(living[: SHOWN_POSITIONS + 1])
    orders = SyncOrder.objects.filter(customer_id=customer_id).order_by("-pk")[:SHOWN_ORDERS]
    holdings = valued(positions[:SHOWN_POSITIONS], now=now)
    return Book(
        balance=balance_of(customer_id),
        holdings=holdings,
        are_more=len(positions) > SHOWN_POSITIONS,
        worth=sum((held.worth for held in holdings if held.worth is not None), Decimal(0)),
        orders=[placed(order) for order in orders],
        at=now,
    )


def placed(order: SyncOrder) -> PlacedOrder:
    """An order as it is shown."""
    state, meaning = words.ORDER_STATES[order.state]
    return PlacedOrder(order, state, meaning)


def valued(positions: Sequence[Position], *, now: datetime) -> list[Holding]:
    """Positions at what closing them would bring at `now`; their options and quotes have to be loaded."""
    coins, current = trading_by_coin(now=now), terms()
    found = []
    for position in positions:
        quote = _quote_of(position)
        worth, why = _worth(position, coins.get(position.option.underlying, Trading()), current, now)
        found.append(
            Holding(
                position=position,
                worth=worth,
                profit=None if worth is None else position.proceeds + worth - position.cost,
                is_stale=quote is not None and now - quote.quoted_at > current.stale_after,
                state=words.POSITION_STATES[position.state],
                why=why,
            )
        )
    return found


def _worth(position: Position, trading: Trading, current: Terms, now: datetime) -> tuple[Decimal | None, str]:
    """What closing all that is left would bring, or why that cannot be said."""
    option, quote = position.option, _quote_of(position)
    if position.remaining == 0:
        return None, "nothing is left"
    if option.expires_at <= now:
        return None, "expired; it is settled at the average index"
    if not trading.takes_closes:
        return None, "closing has been stopped for the moment"
    if quote is None or not quote.bid:
        return None, "nobody bids for it now"
    if now - quote.quoted_at > max(current.stale_after, current.close_stale_after):
        return None, "the last price is too old to close on"
    try:
        priced = close_proceeds(
            contracts=position.remaining,
            multiplier=option.multiplier,
            bid_premium=quote.bid,
            index=quote.index_price,
            spread_rate=current.close_rate(rate=trading.spread_rate, quoted_at=quote.quoted_at, now=now),
        )
    except PricingError:
        return None, "too large to be priced"
    return priced.proceeds, ""


def _quote_of(position: Position) -> Quote | None:
    return getattr(position.option, "quote", None)
