"""Access to pages: each belongs to one customer, is never cached, and runs no script but our own files."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.response import SimpleTemplateResponse
from django.urls import reverse
from django.utils.translation import get_language_from_request, override

from counter.access.admission import Asking, TooFast, admissions
from counter.access.rate_limit import Limit, of_customer
from counter.models import Customer
from infra.coordination.group_queue import QueueFull

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

TICKET_FIELDS = ("symbol", "position", "closing", "contracts", "client_order_id")

View = Callable[..., HttpResponseBase]


def guarded(view: View) -> View:
    """Nothing of the answer is kept, the browser loads nothing from elsewhere, and it is in the reader's language."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with override(get_language_from_request(request)):
            response = view(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse):
                response.render()  # not later, in another language
        response["Cache-Control"] = "no-store"
        response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    return answer


def for_customers(view: View) -> View:
    """Call the view with the customer who is logged in; others are sent to log in, staff are told what they lack."""

    @wraps(view)
    def answer(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_login(request)
        customer = Customer.objects.filter(user_id=request.user.pk).first()
        if customer is None:
            return render(request, "trade/no_customer.html", status=403)
        try:
            admissions.admit(Asking(limits=(_limit(customer.pk),)))
        except TooFast as error:
            wait = error.standing.retry_after_seconds
            text = f"You ask faster than you may. Ask again in {wait} s.\n"
            return HttpResponse(
                text, status=429, headers={"Retry-After": str(wait)}, content_type="text/plain"
            )
        except QueueFull:
            return HttpResponse("Too many requests wait.\n", status=503, content_type="text/plain")
        return view(request, customer, **kwargs)

    return guarded(answer)


def _limit(customer_id: int) -> Limit:
    """The page counts as the API does, and both together."""
    return of_customer(
        customer_id, per_second=settings.REQUESTS_PER_SECOND, at_once=settings.REQUESTS_AT_ONCE
    )


def is_fragment(request: HttpRequest) -> bool:
    """Whether a part of the page was asked for, not the page."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true"


def _to_login(request: HttpRequest) -> HttpResponse:
    """To the login, and from there back: to the page that was open, or to the ticket that was sent in vain.

    A fragment's place cannot show a login: the whole page goes there.
    """
    ended = {}
    if request.method == "POST" and ({"symbol", "position", "closing"} & request.POST.keys()):
        fields = {name: request.POST[name][:64] for name in TICKET_FIELDS if name in request.POST}
        back = f"{reverse('trade:page')}?{urlencode(fields)}"
        ended = {"ended": "again" if "again" in request.POST else "order"}
    elif request.headers.get("HX-Request") == "true":
        current = urlsplit(request.headers.get("HX-Current-URL", ""))
        back = f"{current.path}?{current.query}" if current.query else current.path or reverse("trade:page")
        ended = {"ended": "session"}
    else:
        back = request.get_full_path() if request.method == "GET" else reverse("trade:page")
    address = f"{reverse('trade:login')}?{urlencode({'next': back, **ended}, safe='/')}"
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=401, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)
