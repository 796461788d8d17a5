"""Closing all positions of an option in one press: a firm price for each, one order for each, an outcome for each.

As many at a time as a customer may have firm prices. Each order is named after the ticket and its position: what is
pressed or sent twice closes each position once, and what was refused of one says nothing of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.http import QueryDict

from counter.market import firm_quotes
from counter.market.firm_quotes import CloseQuoteRequest
from counter.models import FirmQuote, Option, Position, SyncOrder
from counter.models.positions import living
from counter.orders.queue import order_queue
from counter.orders.requests import CloseRequest, RejectCode, Rejected
from counter.public_ids import DIGITS, Kind, public_id
from infra.coordination.group_queue import OutcomeUnknown, QueueFull
from ledger.decimals import calculating
from trade import customer_texts, form_input
from trade.book import ShownOrder, placed
from trade.holdings import Valuation, Worth
from trade.placing import FULL
from trade.tickets import new_client_order_id

ZERO = Decimal(0)
MOST_PARTS = 100  # in a form; a customer has fewer firm prices
# An order's name is the ticket's, a hyphen and the digits of the position's id: no longer than an order's name may be.
LONGEST_NAME = 64 - len("-") - DIGITS


@dataclass(slots=True)
class Part:
    """One position on its way: what closing it would bring, its firm price, its order, or why there is none."""

    position_id: int
    contracts: int
    client_order_id: str
    worth: Worth = field(default_factory=lambda: Worth(None))
    firm: FirmQuote | None = None
    refusal: customer_texts.Told | None = None
    placed: ShownOrder | None = None

    @property
    def amount(self) -> Decimal:
        """USDT that it brought, or would bring."""
        if self.placed is not None:
            return self.placed.order.amount
        return self.firm.amount if self.firm is not None else self.worth.amount or ZERO


@dataclass(slots=True)
class CloseAll:
    """Positions of one option that are closed together; `more` are left for the next time."""

    option: Option
    client_order_id: str
    parts: list[Part]
    more: int = 0
    firm_for_ms: int = 0
    refusal: customer_texts.Told | None = None
    is_unknown: bool = False
    is_sent: bool = False  # each part has its outcome, and none may be pressed again
    is_all: bool = True
    is_open: bool = False

    @property
    def firm(self) -> list[Part]:
        """Those with a firm price."""
        return [part for part in self.parts if part.firm is not None]

    @property
    def placed(self) -> list[Part]:
        """Those that are closed."""
        return [part for part in self.parts if part.placed is not None]

    @property
    def refused(self) -> list[Part]:
        """Those that are not, each with its reason."""
        return [part for part in self.parts if part.refusal is not None]

    @property
    def priced(self) -> list[Part]:
        """Those that have a price, which need not be firm yet."""
        return [part for part in self.parts if part.worth.amount is not None]

    @property
    def why(self) -> customer_texts.Text:
        """Why none has a price."""
        return next((part.worth.why for part in self.parts), "")

    @property
    def total(self) -> Decimal:
        """USDT of those that are closed; before, of those that have a price, firm or not."""
        return _sum(self.placed or self.firm or self.priced)


@calculating()
def _sum(parts: Sequence[Part]) -> Decimal:
    return sum((part.amount for part in parts), ZERO)


def close_all_of(*, customer_id: int, given: QueryDict, now: datetime) -> CloseAll | None:
    """The positions of the option that an address or a form names by `closing`, the newest first, with their worth.

    None if there is no such option, or nothing of it is left.
    """
    option = Option.objects.select_related("quote").filter(symbol=form_input.closing(given) or "").first()
    name = _name(given) if given.get("client_order_id") else new_client_order_id()
    if option is None or name is None:
        return None
    open_ones = Position.objects.filter(living(), customer_id=customer_id, option=option, remaining__gt=0)
    most = min(settings.FIRM_QUOTES_LIVE, MOST_PARTS)
    found = list(open_ones.order_by("-pk")[:most])
    if not found:
        return None
    worths = Valuation(now=now).worths_in_turn(option, [each.remaining for each in found])
    parts = [
        Part(each.pk, each.remaining, _part_name(name, each.pk), worth)
        for each, worth in zip(found, worths, strict=True)
    ]
    more = open_ones.count() - len(found) if len(found) == most else 0
    return CloseAll(option, name, parts, more)


def quote_all(closing: CloseAll, *, customer_id: int, now: datetime) -> None:
    """Ask for a firm price of each part, and note it there, or why there is none.

    A part that has one already keeps it. What there is no room for, beside the firm prices that the customer has, is
    left for the next time.
    """
    live = list(firm_quotes.live(customer_id=customer_id, now=now))
    have = {
        (quote.position_id, quote.contracts): quote for quote in live if quote.kind == FirmQuote.Kind.CLOSE
    }
    for part in closing.parts:
        part.firm = have.get((part.position_id, part.contracts))
    lacking = [part for part in closing.parts if part.firm is None]
    # At least one is tried if there would be none: its refusal says why.
    room = max(settings.FIRM_QUOTES_LIVE - len(live), 0 if closing.firm else 1)
    left = {part.position_id for part in lacking[room:]}
    closing.parts = [part for part in closing.parts if part.position_id not in left]
    closing.more += len(left)
    for part in lacking[:room]:
        given = firm_quotes.give(
            request=CloseQuoteRequest(customer_id, part.position_id, part.contracts), now=now
        )
        if isinstance(given, Rejected):
            part.refusal = customer_texts.refusal(given.code, given.message)
        else:
            part.firm = given
    ends = [part.firm.expires_at for part in closing.parts if part.firm is not None]
    if ends:
        closing.firm_for_ms = (min(ends) - now) // timedelta(milliseconds=1)


def sent(*, customer_id: int, given: QueryDict) -> CloseAll | None:
    """What a form sends: the ticket's name, and of each part the position and the firm price.

    None if it names no option, no ticket, or nothing of this customer's.
    """
    option = Option.objects.filter(symbol=form_input.closing(given) or "").first()
    name = _name(given)
    if option is None or name is None:
        return None
    quote_ids = [
        form_input.row_named(text, Kind.FIRM_QUOTE) for text in given.getlist("quote_id")[:MOST_PARTS]
    ]
    quotes = FirmQuote.objects.filter(
        customer_id=customer_id, option=option, pk__in=[each for each in quote_ids if each is not None]
    )
    parts = [
        Part(quote.position_id, quote.contracts, _part_name(name, quote.position_id), firm=quote)
        for quote in quotes.order_by("-position_id")
        if quote.position_id is not None
    ]
    return CloseAll(option, name, parts) if parts else None


def place_all(closing: CloseAll, *, customer_id: int, until: float | None) -> None:
    """Place the order of each part, and note what has become of it: closed, refused, or not known of all of them."""
    requests = [
        CloseRequest(
            customer_id=customer_id,
            client_order_id=part.client_order_id,
            position_id=part.position_id,
            contracts=part.contracts,
            quote_id=part.firm.pk if part.firm is not None else None,
        )
        for part in closing.parts
    ]
    try:
        outcomes = order_queue.place(requests, until=until)
    except QueueFull:
        closing.refusal = FULL
        return
    except OutcomeUnknown:
        closing.is_unknown = True
        return
    for part, outcome in zip(closing.parts, outcomes, strict=True):
        if isinstance(outcome, Rejected) and outcome.code != RejectCode.CLIENT_ORDER_ID_REUSED:
            part.refusal = customer_texts.refusal(outcome.code, outcome.message)
    closing.is_sent = True
    note_placed(closing, customer_id=customer_id)
    note_more(closing, customer_id=customer_id)


def note_placed(closing: CloseAll, *, customer_id: int) -> None:
    """Note the orders of this ticket that there are: an earlier press may have been taken."""
    names = [part.client_order_id for part in closing.parts]
    own = SyncOrder.objects.filter(customer_id=customer_id, client_order_id__in=names)
    found = {order.client_order_id: order for order in own}
    for part in closing.parts:
        order = found.get(part.client_order_id)
        if order is not None:
            part.placed, part.refusal = placed(order), None


def note_more(closing: CloseAll, *, customer_id: int) -> None:
    """Count what is left of the option."""
    own = Position.objects.filter(living(), customer_id=customer_id, option=closing.option, remaining__gt=0)
    closing.more = own.count()


def _part_name(name: str, position_id: int) -> str:
    return f"{name}-{public_id(Kind.POSITION, position_id)[-DIGITS:]}"


def _name(given: QueryDict) -> str | None:
    """A ticket's name from a form, short enough for the names of its orders to be stored; None if it is not."""
    name = form_input.client_order_id(given)
    return name if name is not None and len(name) <= LONGEST_NAME else None
