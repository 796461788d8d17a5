"""A ticket gets a firm quote, and its order goes to the order queue as the API's do: placed, refused, or not known."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from counter.api.codes import CODES
from counter.market import firm_quotes
from counter.market.firm_quotes import CloseQuoteRequest, OpenQuoteRequest, QuoteRequest
from counter.models import FirmQuote, SyncOrder
from counter.orders.queue import order_queue
from counter.orders.requests import Accepted, CloseRequest, OpenRequest, OrderRequest, RejectCode, Rejected
from counter.public_ids import NOBODYS, Kind
from infra.coordination.group_queue import OutcomeUnknown, QueueFull
from trade import customer_texts, form_input
from trade.book import placed
from trade.tickets import Ticket, payoff_of

FULL = (_("Too many orders wait at the moment. Nothing was done with this one."), _("Send it again."))
RISK = (
    _("Nothing was bought: say first that you know the risk."),
    _("Mark what stands above the button. It is asked at your first order only."),
)
EARLIER_PRESS = _(
    "An earlier press, which was not answered, may still be taken for a moment: your orders will show it."
)
ALREADY_USED = (
    _("An earlier press of this ticket was taken: it is the order below. This one was not."),
    _("For a further order choose a price again."),
)


def quote(ticket: Ticket, *, customer_id: int, now: datetime) -> None:
    """Ask for a firm quote of what is on the ticket, and note it there, or why there is none."""
    if ticket.lacks_risk:
        ticket.refusal = RISK
        return
    if ticket.is_too_much:
        ticket.refusal = customer_texts.REFUSALS[RejectCode.INSUFFICIENT_BALANCE]
        return
    given = firm_quotes.give(request=_quote_request(ticket, customer_id), now=now)
    if isinstance(given, Rejected):
        ticket.refusal = customer_texts.refusal(given.code, given.message)
        return
    ticket.firm = given
    ticket.firm_for_ms = (given.expires_at - now) // timedelta(milliseconds=1)
    if ticket.is_open:
        ticket.payoff = payoff_of(ticket, cost=given.amount, index=given.index_price)


def place(ticket: Ticket, *, customer_id: int, given: Mapping[str, str], until: float | None) -> None:
    """Place what the form asks for, and note on the ticket what has become of it."""
    if ticket.lacks_risk:
        ticket.refusal = RISK
        return
    try:
        [outcome] = order_queue.place([_request(ticket, customer_id, given)], until=until)
    except QueueFull:
        ticket.refusal = FULL
        return
    except OutcomeUnknown:
        ticket.is_unknown = True
        _show_again(ticket, customer_id, given)
        return
    if isinstance(outcome, Accepted):
        ticket.placed = placed(SyncOrder.objects.get(pk=outcome.order.id))
        return
    what, then = customer_texts.refusal(outcome.code, outcome.message)
    if "again" in given and not CODES[outcome.code].final:
        then = f"{then} {EARLIER_PRESS}".strip()
    ticket.refusal = (what, then)
    if outcome.code == RejectCode.CLIENT_ORDER_ID_REUSED:
        earlier = find(customer_id=customer_id, client_order_id=ticket.client_order_id)
        if earlier is not None:
            ticket.placed, ticket.refusal = placed(earlier), ALREADY_USED


def _show_again(ticket: Ticket, customer_id: int, given: Mapping[str, str]) -> None:
    """The very order, to be sent once more: with the quote that it names."""
    own = FirmQuote.objects.filter(customer_id=customer_id)
    ticket.firm = own.filter(pk=form_input.row(given, "quote_id", Kind.FIRM_QUOTE) or NOBODYS).first()


def find(*, customer_id: int, client_order_id: str) -> SyncOrder | None:
    """The customer's order of this name, if it was placed."""
    return SyncOrder.objects.filter(customer_id=customer_id, client_order_id=client_order_id).first()


def _quote_request(ticket: Ticket, customer_id: int) -> QuoteRequest:
    if ticket.position is None:
        return OpenQuoteRequest(customer_id, ticket.option.symbol, ticket.contracts)
    return CloseQuoteRequest(customer_id, ticket.position.pk, ticket.contracts)


def _request(ticket: Ticket, customer_id: int, given: Mapping[str, str]) -> OrderRequest:
    quote_id = form_input.row(given, "quote_id", Kind.FIRM_QUOTE)
    if ticket.position is None:
        return OpenRequest(
            customer_id=customer_id,
            client_order_id=ticket.client_order_id,
            symbol=ticket.option.symbol,
            contracts=ticket.contracts,
            quote_id=quote_id,
        )
    return CloseRequest(
        customer_id=customer_id,
        client_order_id=ticket.client_order_id,
        position_id=ticket.position.pk,
        contracts=ticket.contracts,
        min_proceeds=form_input.usdt(given, "min_proceeds") if quote_id is None else None,
        payout="at_fill" if given.get("payout") == "at_fill" else "instant",
        quote_id=quote_id,
    )
