"""Who may come in: every page is one customer's, is kept by no cache, and runs no script but our own files."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from counter.models import Customer

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
        return view(request, customer, **kwargs)

    return guarded(answer)


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
