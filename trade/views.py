"""Doors of the trade page: the whole of it, and the parts that refresh by themselves."""

from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from counter.models import Customer
from trade import asked, history
from trade.book import balance_of, book_of
from trade.chain import chain_of, offer
from trade.doors import for_customers
from trade.tickets import Ticket, ticket_of


def whole_page(
    request: HttpRequest, customer: Customer, ticket: Ticket | None, *, now: datetime, status: int = 200
) -> HttpResponse:
    """The page with a ticket on it; its option's coin and expiry are the chain's, unless the address says otherwise."""
    coin, expiry = request.GET.get("coin"), asked.day(request.GET, "expiry")
    if ticket is not None:
        coin, expiry = coin or ticket.option.underlying, expiry or ticket.option.expires_at.date()
    chosen = offer(coin=coin, expiry=expiry, coins=list(settings.COINS), now=now)
    context: dict[str, Any] = {
        "customer": customer,
        "offer": chosen,
        "chain": chain_of(coin=chosen.coin, expiry=chosen.expiry, now=now),
        "book": book_of(customer_id=customer.pk, now=now),
        "ticket": ticket,
    }
    return render(request, "trade/page.html", context, status=status)


@for_customers
@require_safe
def page(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The whole page, with the ticket that its address names."""
    now = timezone.now()
    ticket = ticket_of(customer_id=customer.pk, given=request.GET, now=now)
    return whole_page(request, customer, ticket, now=now)


@for_customers
@require_safe
def chain(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The prices alone, for refreshing."""
    expiry: date | None = asked.day(request.GET, "expiry")
    shown = chain_of(coin=request.GET.get("coin", ""), expiry=expiry, now=timezone.now())
    return render(request, "trade/chain.html", {"chain": shown})


@for_customers
@require_safe
def book(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Balance, positions and newest orders, for refreshing."""
    return render(request, "trade/book.html", {"book": book_of(customer_id=customer.pk, now=timezone.now())})


@for_customers
@require_safe
def past(request: HttpRequest, customer: Customer, *, kind: str) -> HttpResponse:
    """A page of orders, positions or the ledger."""
    shown = history.KINDS[kind](customer.pk, asked.whole(request.GET, "before"))
    context = {"page": shown, "kinds": list(history.KINDS), "customer": customer}
    context["a_year_ago"] = (timezone.now() - timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return render(request, "trade/history.html", {**context, "balance": balance_of(customer.pk)})
