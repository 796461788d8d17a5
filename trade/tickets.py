"""Tickets: one order on its way from a choice to its outcome, as it is shown at each step."""

import secrets
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django.utils.translation import gettext as _

from counter.market.outlook import Outlook
from counter.market.quotes import CurrentQuote, close_price, current_quotes, open_price
from counter.models import FirmQuote, Option, Position, Quote, SyncOrder
from counter.pricing import formulas
from counter.public_ids import Kind
from counter.trading.status import terms
from infra.coordination.ages import age
from ledger.decimals import product, quotient
from trade import customer_texts, form_input, numbers
from trade.book import ShownOrder, balance_of, placed
from trade.localized_numbers import written
from trade.payoff import Payoff, WorthAt, payoff

# How many seconds of shrinking a close at an old price has room for, between being shown and being placed.
SHRINKING_ROOM = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Price:
    """USDT: `amount` is the cost of an open or the proceeds of a close, `fair` what it is without the `spread`."""

    fair: Decimal
    spread: Decimal
    amount: Decimal


@dataclass(slots=True)
class Ticket:
    """Contracts of an option to be bought, or of a `position` to be closed.

    It carries its client order id from when it was first shown, so that what is pressed or sent twice is one order.
    `balance` is USDT of the customer; `least` what a close at an old price has to bring, None at a fresh one.
    """

    option: Option
    client_order_id: str
    contracts: int
    position: Position | None = None
    price: Price | None = None
    balance: Decimal = Decimal(0)
    affordable: int = 0
    least: Decimal | None = None
    why: str = ""  # there is no price
    index: Decimal | None = None
    payoff: Payoff | None = None
    chance: str = ""  # of a profit at expiry, by the model
    money: Decimal | None = None  # USDT that are to be spent, in place of a number of contracts
    firm: FirmQuote | None = None
    firm_for_ms: int = 0
    refusal: customer_texts.Told | None = None
    is_unknown: bool = False
    placed: ShownOrder | None = None
    is_first: bool = False  # of the customer's orders: that they know the risk is asked
    knows_risk: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it buys."""
        return self.position is None

    @property
    def is_too_much(self) -> bool:
        """Whether it costs more than the balance: `affordable` contracts are what that pays."""
        amount = self.firm.amount if self.firm else self.price.amount if self.price else Decimal(0)
        return self.is_open and amount > self.balance

    @property
    def lacks_risk(self) -> bool:
        """Whether the customer has not said yet that they know the risk."""
        return self.is_first and not self.knows_risk

    @property
    def can_be_firm(self) -> bool:
        """Whether asking for a firm price makes sense."""
        return self.price is not None and self.least is None and not self.is_too_much

    @property
    def sums(self) -> numbers.Sums:
        """The price as it is added up, firm or not."""
        price = self.firm or self.price or Price(Decimal(0), Decimal(0), Decimal(0))
        return numbers.sums(fair=price.fair, amount=price.amount, is_paid=self.is_open)


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
        made.why = _("It has expired.") if made.option.expires_at <= now else _("It has no price yet.")
    elif made.is_open:
        made.balance = balance_of(customer_id) or Decimal(0)
        made.knows_risk = given.get("risk") == "accepted"
        made.is_first = not SyncOrder.objects.filter(customer_id=customer_id).exists()
        _price_open(made, found[0], now)
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
    client_order_id = (
        form_input.client_order_id(given) if given.get("client_order_id") else new_client_order_id()
    )
    if client_order_id is None:
        return None
    contracts = form_input.whole(given, "contracts", most=form_input.MAX_CONTRACTS)
    if (position_id := form_input.row(given, "position", Kind.POSITION)) is not None:
        own = Position.objects.filter(customer_id=customer_id).select_related("option")
        position = own.filter(pk=position_id).first()
        if position is None:
            return None
        left = position.remaining
        return Ticket(position.option, client_order_id, contracts or left, position)
    option = Option.objects.filter(symbol=form_input.symbol(given) or "").first()
    if option is None:
        return None
    return Ticket(option, client_order_id, contracts or 1, money=form_input.usdt(given, "usdt"))


def _price_open(ticket: Ticket, quoted: CurrentQuote, now: datetime) -> None:
    quote, option, current = quoted.quote, ticket.option, terms()
    ticket.index = quote.index_price
    if option.state == Option.State.HALTED or quoted.cost is None or not quote.ask:
        ticket.why = _("Nobody can buy it at the moment.")
        return
    if quoted.is_stale:
        ticket.why = _("The last price is too old to buy at. A new one is shown as soon as it comes.")
        return

    def cost(contracts: int) -> formulas.OpenPrice:
        return open_price(quote, quoted.trading, current, contracts)

    try:
        if ticket.money is not None:
            ticket.contracts = most_for(ticket.money, lambda contracts: cost(contracts).cost)
            if not ticket.contracts:
                ticket.contracts = 1
                ticket.why = _("One contract costs more than that: %(cost)s USDT.") % {
                    "cost": written(numbers.to_pay(cost(1).cost))
                }
                return
        priced = cost(ticket.contracts)
        ticket.price = Price(priced.fair, priced.spread, priced.cost)
        _look_ahead(ticket, quote, priced.cost, now)
        if priced.cost > ticket.balance:
            ticket.affordable = most_for(ticket.balance, lambda contracts: cost(contracts).cost)
    except formulas.PricingError:
        ticket.price, ticket.why = None, _("So many cannot be priced.")


def most_for(amount: Decimal, cost: Callable[[int], Decimal]) -> int:
    """The most contracts whose `cost` is at most `amount`.

    A cost is rounded up once, so that of many is less than their number times that of one: the number is searched for.
    """

    def is_more(contracts: int) -> bool:
        try:
            return cost(contracts) > amount
        except formulas.AmountTooLarge:
            return True

    return bisect_left(range(1, form_input.MAX_CONTRACTS + 1), True, key=is_more)


def _price_close(ticket: Ticket, quoted: CurrentQuote, now: datetime) -> None:
    quote, current, position = quoted.quote, terms(), ticket.position
    ticket.index = quote.index_price
    if position is None:
        return
    if ticket.contracts > position.remaining:
        ticket.why = _("%(n)s contracts are left.") % {"n": position.remaining}
    elif not ticket.contracts:
        ticket.why = _("Nothing is left of it to close.")
    elif not quoted.trading.takes_closes:
        ticket.why = _sentence(customer_texts.CLOSES_STOPPED)
    elif not quote.bid:
        ticket.why = _sentence(customer_texts.NO_BID)
    elif age(quote.quoted_at, now=now) > max(current.stale_after, current.close_stale_after):
        ticket.why = _sentence(customer_texts.TOO_OLD)
    else:

        def proceeds(at: datetime) -> formulas.ClosePrice:
            return close_price(quote, quoted.trading, current, ticket.contracts, now=at)

        try:
            priced = proceeds(now)
            ticket.price = Price(priced.fair, priced.spread, priced.proceeds)
            _look_ahead(ticket, quote, _cost_of_the_rest(ticket, position), now)
            if quoted.is_stale:
                ticket.least = proceeds(now + SHRINKING_ROOM).proceeds
        except formulas.PricingError:
            ticket.why = _("So many cannot be priced.")


def _cost_of_the_rest(ticket: Ticket, position: Position) -> Decimal:
    """What the ticket's contracts cost when their position was opened: their part of its cost."""
    return quotient(
        product(position.cost, ticket.contracts),
        position.contracts,
        unit=numbers.MICRO,
        rounding=ROUND_HALF_EVEN,
    )


def _look_ahead(ticket: Ticket, quote: Quote, cost: Decimal, now: datetime) -> None:
    """What comes of contracts that cost this much, at expiry and by the model until then."""
    outlook = Outlook(quote, now=now)
    ticket.payoff = payoff_of(ticket, cost=cost, index=quote.index_price, worth_at=outlook.worth_at)
    turn = ticket.payoff.break_even
    chance = None if turn is None else outlook.chance_beyond(turn)
    ticket.chance = "" if chance is None else numbers.percent(chance)


def _sentence(text: customer_texts.Text) -> str:
    told = str(text)
    return f"{told[:1].upper()}{told[1:]}."


def payoff_of(ticket: Ticket, *, cost: Decimal, index: Decimal, worth_at: WorthAt | None = None) -> Payoff:
    """What the ticket's contracts bring at expiry if they cost this much, and now by `worth_at`.

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
        worth_at=worth_at,
    )
