"""Tickets: one order on its way from a choice to its outcome, as it is shown at each step."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from counter import pricing
from counter.market.quotes import CurrentQuote, current_quotes
from counter.models import FirmQuote, Option, Position, SyncOrder
from counter.trading.trading_status import terms
from trade import asked
from trade.book import PlacedOrder, placed
from trade.payoff import Payoff, payoff


@dataclass(frozen=True, slots=True)
class Price:
    """USDT: `amount` is the cost of an open or the proceeds of a close, `fair` what it is without the `spread`."""

    fair: Decimal
    spread: Decimal
    amount: Decimal


@dataclass(slots=True)
class Ticket:
    """Contracts of an option to be bought, or of a `position` to be closed.

    It carries its client order id from when it was first shown, so that whatever is pressed or sent twice is one order.
    """

    option: Option
    client_order_id: str
    contracts: int
    position: Position | None = None
    price: Price | None = None
    is_stale: bool = False
    why: str = ""  # there is no price
    index: Decimal | None = None
    payoff: Payoff | None = None
    firm: FirmQuote | None = None
    firm_for_ms: int = 0
    refusal: tuple[str, str] | None = None
    is_unknown: bool = False
    placed: PlacedOrder | None = None

    @property
    def is_open(self) -> bool:
        """Whether it buys."""
        return self.position is None


def new_client_order_id() -> str:
    """The name of an order that a ticket will place."""
    return f"page-{secrets.token_hex(12)}"


def ticket_of(*, customer_id: int, given: Mapping[str, str], now: datetime) -> Ticket | None:
    """The ticket that an address or a form asks for, priced as an order of this moment; None if there is no such thing.

    `given` holds a `symbol`, or a `position` of the customer's own; `contracts` and `client_order_id` if it has them.
    There is no ticket of a name that no order of a customer can have.
    """
    made = _chosen(customer_id=customer_id, given=given)
    if made is None:
        return None
    [*found] = current_quotes(now=now, symbol=made.option.symbol)
    if not found:
        made.why = "It has expired." if made.option.expires_at <= now else "It has no price yet."
    elif made.is_open:
        _price_open(made, found[0])
    else:
        _price_close(made, found[0], now)
    return made


def ticket_of_order(order: SyncOrder) -> Ticket:
    """The ticket that an order was placed by."""
    is_open = order.kind == SyncOrder.Kind.OPEN
    return Ticket(
        option=order.option,
        client_order_id=order.client_order_id,
        contracts=order.contracts,
        position=None if is_open else Position.objects.get(pk=order.position_id),
        placed=placed(order),
    )


def _chosen(*, customer_id: int, given: Mapping[str, str]) -> Ticket | None:
    client_order_id = asked.client_order_id(given) if given.get("client_order_id") else new_client_order_id()
    if client_order_id is None:
        return None
    contracts = asked.whole(given, "contracts", most=asked.MAX_CONTRACTS)
    if (position_id := asked.whole(given, "position")) is not None:
        own = Position.objects.filter(customer_id=customer_id).select_related("option")
        position = own.filter(pk=position_id).first()
        if position is None:
            return None
        left = position.remaining
        return Ticket(position.option, client_order_id, contracts or left, position)
    option = Option.objects.filter(symbol=asked.symbol(given) or "").first()
    return None if option is None else Ticket(option, client_order_id, contracts or 1)


def _price_open(ticket: Ticket, quoted: CurrentQuote) -> None:
    quote, option = quoted.quote, ticket.option
    ticket.is_stale, ticket.index = quoted.is_stale, quote.index_price
    if option.state == Option.State.HALTED or quoted.cost is None or not quote.ask:
        ticket.why = "Nobody can buy it at the moment."
        return
    try:
        priced = pricing.open_cost(
            contracts=ticket.contracts,
            multiplier=option.multiplier,
            ask_premium=quote.ask,
            index=quote.index_price,
            spread_rate=terms().open_rate(quoted.trading.spread_rate),
        )
        ticket.price = Price(priced.fair, priced.spread, priced.cost)
        ticket.payoff = payoff_of(ticket, cost=priced.cost, index=quote.index_price)
    except pricing.PricingError:
        ticket.why = "So many cannot be priced."


def _price_close(ticket: Ticket, quoted: CurrentQuote, now: datetime) -> None:
    quote, current = quoted.quote, terms()
    ticket.is_stale, ticket.index = quoted.is_stale, quote.index_price
    if ticket.position is not None and ticket.contracts > ticket.position.remaining:
        ticket.why = f"{ticket.position.remaining} contracts are left."
    elif not ticket.contracts:
        ticket.why = "Nothing is left of it to close."
    elif not quoted.trading.takes_closes:
        ticket.why = "Closing has been stopped for the moment."
    elif not quote.bid:
        ticket.why = "Nobody bids for it at the moment."
    elif now - quote.quoted_at > max(current.stale_after, current.close_stale_after):
        ticket.why = "The last price is too old to close on."
    else:
        rate = current.close_rate(rate=quoted.trading.spread_rate, quoted_at=quote.quoted_at, now=now)
        try:
            priced = pricing.close_proceeds(
                contracts=ticket.contracts,
                multiplier=ticket.option.multiplier,
                bid_premium=quote.bid,
                index=quote.index_price,
                spread_rate=rate,
            )
            ticket.price = Price(priced.fair, priced.spread, priced.proceeds)
        except pricing.PricingError:
            ticket.why = "So many cannot be priced."


def payoff_of(ticket: Ticket, *, cost: Decimal, index: Decimal) -> Payoff:
    """What the ticket's contracts bring at expiry if they cost this much.

    Raises: PricingError.
    """
    option = ticket.option
    return payoff(
        kind=option.kind,  # type: ignore[arg-type]
        strike=option.strike,
        contracts=ticket.contracts,
        multiplier=option.multiplier,
        cost=cost,
        index=index,
    )
