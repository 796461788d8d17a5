"""A customer's API keys: made and revoked by themselves, or offered by staff and collected; a secret is shown once."""

from datetime import datetime, timedelta

import structlog
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST

from counter.access.api_keys import ApiKeyError, Issued, collect, issue, revoke, waiting_keys
from counter.models import ApiKey, Customer
from infra.coordination import clock
from trade import form_input
from trade.book import balance_of
from trade.login import asked_again
from trade.page_access import for_customers

log = structlog.get_logger(__name__)

SHOWN = 100
MOST_OF_ONE = 20  # living keys that a customer may have made or been offered
MOST_DAYS = 365
TOO_MANY = f"you have {MOST_OF_ONE} keys; revoke one that is not used any more"


@for_customers
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest, customer: Customer) -> HttpResponse:
    """What keys there are and what is to be collected; a form that makes one, for which the password is asked."""
    if request.method != "POST":
        return _page(request, customer)
    try:
        issued = _made(request, customer, clock.of("default").now())
    except ApiKeyError as error:
        return _page(request, customer, refused=str(error), status=409)
    log.info("API key made by its customer", customer=customer.reference, key=issued.key.public_id)
    return _page(request, customer, issued=issued)


def _made(request: HttpRequest, customer: Customer, now: datetime) -> Issued:
    """Raises: ApiKeyError, with nothing made."""
    if refused := asked_again(request, customer, request.POST.get("password", "")):
        raise ApiKeyError(refused)
    living = ApiKey.objects.filter(customer=customer, revoked_at__isnull=True)
    if living.count() >= MOST_OF_ONE:
        raise ApiKeyError(TOO_MANY)
    label = request.POST.get("label", "").strip()[:64]
    days = form_input.whole(request.POST, "days", most=MOST_DAYS)
    networks = [each for each in request.POST.get("networks", "").replace(",", " ").split() if each]
    if not label or not label.isprintable():
        raise ApiKeyError("a key needs a name, by which you know it again")
    if days is None:
        raise ApiKeyError(f"a key lasts 1 to {MOST_DAYS} days")
    return issue(
        customer_id=customer.pk,
        label=label,
        scopes=request.POST.getlist("scopes"),
        networks=networks,
        expires_at=now + timedelta(days=days),
        now=now,
    )


@for_customers
@require_POST
def collected(request: HttpRequest, customer: Customer, *, public_id: str) -> HttpResponse:
    """Make the secret and show it in the answer itself: it is kept in no session, message or address."""
    try:
        issued = collect(customer_id=customer.pk, public_id=public_id, now=clock.of("default").now())
    except ApiKeyError as error:
        return _page(request, customer, refused=str(error), status=409)
    return _page(request, customer, issued=issued)


@for_customers
@require_POST
def revoked(request: HttpRequest, customer: Customer, *, public_id: str) -> HttpResponse:
    """Let nothing more through that is signed with a key."""
    key = get_object_or_404(ApiKey, public_id=public_id, customer=customer)
    revoke(key, now=clock.of("default").now())
    log.info("API key revoked by its customer", customer=customer.reference, key=key.public_id)
    return _page(request, customer)


def _page(
    request: HttpRequest,
    customer: Customer,
    *,
    issued: Issued | None = None,
    refused: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "customer": customer,
        "balance": balance_of(customer.pk),
        "keys": ApiKey.objects.filter(customer=customer, revoked_at__isnull=True).order_by("-pk")[:SHOWN],
        "waiting": set(
            waiting_keys(customer_id=customer.pk, now=clock.of("default").now()).values_list("pk", flat=True)
        ),
        "issued": issued,
        "refused": refused,
    }
    return render(request, "trade/api_keys.html", context, status=status)
