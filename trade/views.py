"""Doors of the trade page: the whole of it, and the parts that refresh by themselves."""

from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from counter.models import Customer
from counter.public_ids import Kind, public_id
from infra.coordination import clock
from trade import form_input, history
from trade.book import Book, balance_of, book_of
from trade.chain import chain_of, offer
from trade.closing_all import CloseAll, close_all_of
from trade.holdings import holdings_of
from trade.index_chart import chart_of
from trade.page_access import for_customers
from trade.portfolio_chart import portfolio_of
from trade.tickets import Ticket, ticket_of


def whole_page(
    request: HttpRequest,
    customer: Customer,
    ticket: Ticket | CloseAll | None,
    *,
    now: datetime,
    status: int = 200,
) -> HttpResponse:
    """The page with a ticket on it; its option's coin and expiry are the chain's, unless the address says otherwise."""
    coin, expiry = request.GET.get("coin"), form_input.day(request.GET, "expiry")
    if ticket is not None:
        coin, expiry = coin or ticket.option.underlying, expiry or ticket.option.expires_at.date()
    offered = offer(coin=coin, expiry=expiry, coins=list(settings.COINS), now=now)
    shown = book_for(request, customer, now=now)
    context: dict[str, Any] = {
        "customer": customer,
        "offer": offered,
        "index": chart_of(coin=offered.coin, span=request.GET.get("span"), now=now),
        "chain": chain_of(coin=offered.coin, expiry=offered.expiry, now=now),
        "book": shown,
        "portfolio": portfolio_of(
            customer_id=customer.pk,
            balance=shown.balance,
            totals=shown.holdings.totals,
            span=request.GET.get("past"),
            now=now,
        ),
        "ticket": ticket,
    }
    return render(request, "trade/page.html", context, status=status)


def chosen(request: HttpRequest, customer: Customer, *, now: datetime) -> Ticket | CloseAll | None:
    """The ticket that the address names: of one order, or of all positions of an option."""
    if "closing" in request.GET:
        return close_all_of(customer_id=customer.pk, given=request.GET, now=now)
    return ticket_of(customer_id=customer.pk, given=request.GET, now=now)


def book_for(request: HttpRequest, customer: Customer, *, now: datetime) -> Book:
    """The customer's book, with the page of holdings and the option's positions that the request asks for."""
    given = request.POST if request.method == "POST" else request.GET
    return book_of(
        customer_id=customer.pk,
        now=now,
        page=form_input.whole(given, "page", most=form_input.MAX_PAGE) or 1,
        opened=form_input.opened(given),
        before=form_input.row(given, "before", Kind.POSITION),
    )


@for_customers
@require_safe
def page(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The whole page, with the ticket that its address names."""
    now = clock.of("default").now()
    return whole_page(request, customer, chosen(request, customer, now=now), now=now)


@for_customers
@require_safe
def chain(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The prices alone, for refreshing."""
    expiry: date | None = form_input.day(request.GET, "expiry")
    shown = chain_of(coin=request.GET.get("coin", ""), expiry=expiry, now=clock.of("default").now())
    return render(request, "trade/chain.html", {"chain": shown})


@for_customers
@require_safe
def index(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The index of a coin with its chart, for refreshing and for another span."""
    coin = request.GET.get("coin", "")
    if coin not in settings.COINS:
        raise Http404
    shown = chart_of(coin=coin, span=request.GET.get("span"), now=clock.of("default").now())
    return render(request, "trade/index.html", {"index": shown})


@for_customers
@require_safe
def portfolio(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The customer's portfolio over time, for refreshing and for another span."""
    now = clock.of("default").now()
    totals = holdings_of(customer_id=customer.pk, now=now).totals
    shown = portfolio_of(
        customer_id=customer.pk,
        balance=balance_of(customer.pk),
        totals=totals,
        span=request.GET.get("past"),
        now=now,
    )
    return render(request, "trade/portfolio.html", {"portfolio": shown})


@for_customers
@require_safe
def book(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Balance, positions and newest orders, for refreshing."""
    return render(
        request, "trade/book.html", {"book": book_for(request, customer, now=clock.of("default").now())}
    )


@for_customers
@require_safe
def past(request: HttpRequest, customer: Customer, *, kind: str) -> HttpResponse:
    """A page of orders, positions or the ledger."""
    now, id_kind = clock.of("default").now(), history.ID_KINDS[kind]
    before = form_input.row(request.GET, "before", id_kind)
    context = {
        "page": history.KINDS[kind](customer.pk, before, now),
        "kinds": history.TITLES.items(),
        "customer": customer,
        "balance": balance_of(customer.pk),
        "before": None if before is None else public_id(id_kind, before),
        "is_exact": "exact" in request.GET,
        "a_year_ago": (now - timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return render(request, "trade/history.html", context)
