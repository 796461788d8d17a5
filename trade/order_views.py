"""Doors of a ticket: choosing, placing, and what has become of it. Each works as a part and as a whole page."""

from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from counter.api.raw_request import until_of
from counter.models import Customer, SyncOrder
from counter.public_ids import NOBODYS, Kind
from infra.coordination import clock
from trade import form_input, placing
from trade.book import placed
from trade.closing_all import CloseAll
from trade.page_access import for_customers, is_fragment
from trade.tickets import Ticket, ticket_of, ticket_of_order
from trade.views import book_for, chosen, whole_page

REFUSED, UNKNOWN = 409, 503
STOP_ASKING = 286  # htmx's own status: the answer is shown, and asked for no more


@for_customers
@require_safe
def ticket(request: HttpRequest, customer: Customer) -> HttpResponse:
    """A new ticket, or the same for another number of contracts; an empty one if nothing is chosen."""
    now = clock.of("default").now()
    return shown(request, customer, chosen(request, customer, now=now))


@for_customers
@csrf_protect
@require_POST
def quotes(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The ticket with a price that is firm for a few seconds."""
    now = clock.of("default").now()
    made = _posted(request, customer, now)
    placing.quote(made, customer_id=customer.pk, now=now)
    return shown(request, customer, made, status=REFUSED if made.refusal else 200)


@for_customers
@csrf_protect
@require_POST
def orders(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Place the ticket's order, once for its client order id."""
    made = _posted(request, customer, clock.of("default").now())
    placing.place(made, customer_id=customer.pk, given=request.POST, until=until_of(request))
    status = UNKNOWN if made.is_unknown else REFUSED if made.refusal else 200
    return shown(request, customer, made, status=status)


@for_customers
@require_safe
def outcome(request: HttpRequest, customer: Customer) -> HttpResponse:
    """What has become of an order whose answer was lost: the order, or nothing as long as there is none."""
    name = form_input.client_order_id(request.GET)
    found = None if name is None else placing.find(customer_id=customer.pk, client_order_id=name)
    if found is None:
        return HttpResponse(status=204)
    return shown(request, customer, ticket_of_order(found))


@for_customers
@require_safe
def order(request: HttpRequest, customer: Customer, *, order_id: str) -> HttpResponse:
    """One order on its way, for refreshing; with its last answer the balance and the positions it has left."""
    row_id = form_input.row_named(order_id, Kind.ORDER)
    found = SyncOrder.objects.filter(customer_id=customer.pk, pk=row_id or NOBODYS).first()
    if found is None:
        raise Http404
    context: dict[str, Any] = {"placed": placed(found)}
    if not context["placed"].is_settled:
        return render(request, "trade/order.html", context)
    context["book"] = book_for(request, customer, now=clock.of("default").now())
    return render(request, "trade/order.html", context, status=STOP_ASKING)


def _posted(request: HttpRequest, customer: Customer, now: datetime) -> Ticket:
    made = ticket_of(customer_id=customer.pk, given=request.POST, now=now)
    if made is None:
        raise Http404
    return made


def shown(
    request: HttpRequest, customer: Customer, made: Ticket | CloseAll | None, *, status: int = 200
) -> HttpResponse:
    """The ticket; with it, once its order is placed, the balance and the positions that this has left."""
    now = clock.of("default").now()
    if not is_fragment(request):
        return whole_page(request, customer, made, now=now, status=status)
    context: dict[str, Any] = {"ticket": made}
    if made is not None and made.placed:
        context["book"] = book_for(request, customer, now=now)
    return render(request, "trade/ordered.html", context, status=status)
