"""A ticket gets a firm quote, and its order goes to the gate as the API's do: placed, refused, or not known."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from counter.market import firm_quotes
from counter.market.firm_quotes import CloseQuoteRequest, OpenQuoteRequest, QuoteRequest
from counter.models import FirmQuote, SyncOrder
from counter.ordering.gate import GateFull, OutcomeUnknown, gate
from counter.ordering.order_requests import (
    Accepted,
    CloseRequest,
    OpenRequest,
    OrderRequest,
    RejectCode,
    Rejected,
)
from trade import asked, words
from trade.book import placed
from trade.tickets import Ticket, payoff_of

FULL = ("Too many orders wait at the moment. Nothing was done with this one.", "Send it again.")
ALREADY_USED = (
    "An earlier press of this ticket was taken: it is the order below. This one was not.",
    "For a further order choose a price again.",
)


def quote(ticket: Ticket, *, customer_id: int, now: datetime) -> None:
    """Ask for a firm quote of what is on the ticket, and note it there, or why there is none."""
    given = firm_quotes.give(request=_quote_request(ticket, customer_id), now=now)
    if isinstance(given, Rejected):
        ticket.refusal = words.refusal(given.code, given.message)
        return
    ticket.firm = given
    ticket.firm_for_ms = (given.expires_at - now) // timedelta(milliseconds=1)
    if ticket.is_open:
        ticket.payoff = payoff_of(ticket, cost=given.amount, index=given.index_price)


def place(ticket: Ticket, *, customer_id: int, given: Mapping[str, str]) -> None:
    """Place what the form asks for, and note on the ticket what has become of it."""
    try:
        [outcome] = gate.place([_request(ticket, customer_id, given)])
    except GateFull:
        ticket.refusal = FULL
        return
    except OutcomeUnknown:
        ticket.is_unknown = True
        _show_again(ticket, customer_id, given)
        return
    if isinstance(outcome, Accepted):
        ticket.placed = placed(SyncOrder.objects.get(pk=outcome.order.id))
        return
    ticket.refusal = words.refusal(outcome.code, outcome.message)
    if outcome.code == RejectCode.CLIENT_ORDER_ID_REUSED:
        earlier = find(customer_id=customer_id, client_order_id=ticket.client_order_id)
        if earlier is not None:
            ticket.placed, ticket.refusal = placed(earlier), ALREADY_USED


def _show_again(ticket: Ticket, customer_id: int, given: Mapping[str, str]) -> None:
    """The very order, to be sent once more: with the quote that it names."""
    own = FirmQuote.objects.filter(customer_id=customer_id)
    ticket.firm = own.filter(pk=asked.whole(given, "quote_id") or 0).first()


def find(*, customer_id: int, client_order_id: str) -> SyncOrder | None:
    """The customer's order of this name, if it was placed."""
    return SyncOrder.objects.filter(customer_id=customer_id, client_order_id=client_order_id).first()


def _quote_request(ticket: Ticket, customer_id: int) -> QuoteRequest:
    if ticket.position is None:
        return OpenQuoteRequest(customer_id, ticket.option.symbol, ticket.contracts)
    return CloseQuoteRequest(customer_id, ticket.position.pk, ticket.contracts)


def _request(ticket: Ticket, customer_id: int, given: Mapping[str, str]) -> OrderRequest:
    quote_id = asked.whole(given, "quote_id")
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
        payout="at_fill" if given.get("payout") == "at_fill" else "instant",
        quote_id=quote_id,
    )
