"""Doors of the cockpit: the admin's first page, its figures alone for refreshing, and /metrics."""

import ipaddress
import secrets
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from prometheus_client.exposition import choose_encoder

from cockpit.best_execution import shared_last_day
from cockpit.dashboard import Shown, shown
from cockpit.metrics import exposed
from cockpit.risk import shared_risk
from cockpit.snapshot import shared
from counter.staff.switch_list import switches_for
from infra.coordination import clock

# What a proxy adds: behind one every request seems to come from this machine.
FORWARDED = ("X-Forwarded-For", "X-Real-IP", "Forwarded")
SEE_FIGURES = "cockpit.view_tally"


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the admin's first page, for unfold; without figures for who may not see them."""
    if not request.user.has_perm(SEE_FIGURES):
        return {**context, "cockpit": None}
    return {**context, "cockpit": _figures(), "switches": switches_for(request.user)}


@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """The first page's figures alone; a user logged out meanwhile is sent to log in by the whole page."""
    if not admin.site.has_permission(request):
        return HttpResponse(status=401, headers={"HX-Redirect": reverse("admin:index")})
    if not request.user.has_perm(SEE_FIGURES):
        raise PermissionDenied
    context = {"cockpit": _figures(), "switches": switches_for(request.user)}
    return render(request, "cockpit/figures.html", context)


def _figures() -> Shown:
    return shown(shared.current(now=clock.of("default").now()))


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus: with METRICS_TOKEN as its bearer token, or, while there is none, from this machine only."""
    if not _may_read_metrics(request):
        return HttpResponse("metrics are not for you\n", status=403, content_type="text/plain")
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    now = clock.of("default").now()
    registry = exposed(
        shared.current(now=now), shared_risk.current(now=now), shared_last_day.current(now=now)
    )
    return HttpResponse(encode(registry), content_type=content_type)


def _may_read_metrics(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        return secrets.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
