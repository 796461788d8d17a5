"""Who may come in: every page is one customer's, is kept by no cache, and runs no script but our own files."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from counter.access.admission import Asking, TooFast, admissions
from counter.access.pace import Limit, of_customer
from counter.models import Customer
from counter.ordering.gate import GateFull

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

View = Callable[..., HttpResponseBase]


def guarded(view: View) -> View:
    """Nothing of the answer is kept, and the browser loads nothing from elsewhere."""

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(*args, **kwargs)
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
        except GateFull:
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
    """A fragment's place cannot show a login: the whole page goes there."""
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=401, headers={"HX-Redirect": reverse("trade:login")})
    return redirect_to_login(
        request.get_full_path() if request.method == "GET" else reverse("trade:page"), reverse("trade:login")
    )
