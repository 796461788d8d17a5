"""Doors of closing all positions of an option: a firm price of each, an order of each, and what has become of them."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from counter.api.raw_request import until_of
from counter.models import Customer
from infra.coordination import clock
from trade import closing_all
from trade.order_views import REFUSED, UNKNOWN, shown
from trade.page_access import for_customers


@for_customers
@csrf_protect
@require_POST
def quotes(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The positions with prices that are firm for a few seconds."""
    now = clock.of("default").now()
    made = closing_all.close_all_of(customer_id=customer.pk, given=request.POST, now=now)
    if made is None:
        raise Http404
    closing_all.quote_all(made, customer_id=customer.pk, now=now)
    return shown(request, customer, made, status=200 if made.firm else REFUSED)


@for_customers
@csrf_protect
@require_POST
def orders(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Place the order of each position, once for its name."""
    made = closing_all.sent(customer_id=customer.pk, given=request.POST)
    if made is None:
        raise Http404
    closing_all.place_all(made, customer_id=customer.pk, until=until_of(request))
    status = UNKNOWN if made.is_unknown else 200 if made.placed else REFUSED
    return shown(request, customer, made, status=status)


@for_customers
@require_safe
def outcome(request: HttpRequest, customer: Customer) -> HttpResponse:
    """What has become of orders whose answer was lost, or nothing as long as there is none of them."""
    made = closing_all.sent(customer_id=customer.pk, given=request.GET)
    if made is not None:
        closing_all.note_placed(made, customer_id=customer.pk)
    if made is None or not made.placed:
        return HttpResponse(status=204)
    closing_all.note_more(made, customer_id=customer.pk)
    return shown(request, customer, made)
