"""Doors of the timeline: the search box and one order's page, for staff who may see orders in both systems."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from cockpit.timeline import find, timeline
from infra.coordination import clock

NEEDED = ("counter.view_syncorder", "acceptance.view_acceptedorder", "settlement.view_conversion")


def _context(request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
    if not request.user.has_perms(NEEDED):
        raise PermissionDenied
    return {**admin.site.each_context(request), "title": title, **more}


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Orders by `q`; straight to the timeline when it is one."""
    term = request.GET.get("q", "")
    context = _context(request, "Find an order", term=term, searched=bool(term.strip()))
    context["matches"] = find(term)
    if len(context["matches"]) == 1:
        return redirect("order_timeline", context["matches"][0].order_id)
    return render(request, "cockpit/find_order.html", context)


@require_safe
def show(request: HttpRequest, order_id: int) -> HttpResponse:
    """One order's timeline; its page asks for itself again while the order is under way."""
    context = _context(request, f"Order {order_id}")
    found = timeline(order_id=order_id, now=clock.of("default").now())
    if found is None:
        raise Http404(f"neither system knows order {order_id}: a request that was refused is not stored")
    return render(request, "cockpit/order_timeline.html", {**context, "timeline": found})
