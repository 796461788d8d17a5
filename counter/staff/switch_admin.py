"""Kill switches in the admin: on a switch's page whoever may throws it, with a reason."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from config.readonly import ReadOnlyAdmin
from counter.models import TradingSwitch
from counter.trading.trading_switches import (
    SEVERITY,
    State,
    SwitchRefused,
    make_missing,
    permission_for,
    throw,
)

WORDS = {
    State.RUNNING: "Let trading go on",
    State.OPENS_STOPPED: "Stop opens",
    State.ALL_STOPPED: "Stop opens and closes",
}


class TradingSwitchAdmin(ReadOnlyAdmin):
    list_display = ["coins", "state", "since", "by", "reason"]
    list_display_links = ["coins"]
    ordering = ["underlying"]
    change_form_outer_before_template = "counter/switch.html"

    def get_urls(self) -> list[URLPattern]:
        """With the address where a switch is thrown."""
        view = self.admin_site.admin_view(_throw)
        return [path("<int:pk>/throw/", view, name="counter_tradingswitch_throw"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """For whoever may throw one with a switch for every coin, thrown before or not."""
        if request.user.has_perm(permission_for(was=State.RUNNING, to=State.ALL_STOPPED)):
            make_missing(now=timezone.now())
        return super().changelist_view(request, extra_context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the states that whoever looks may bring it to."""
        switch = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(switch, TradingSwitch):
            context["switch"] = switch
            context["choices"] = [
                {"value": state.value, "word": WORDS[state], "stops": SEVERITY[state] > SEVERITY[was]}
                for was in [State(switch.state)]
                for state in State
                if state is not was and request.user.has_perm(permission_for(was=was, to=state))
            ]
        return super().change_view(request, object_id, form_url, context)


def _throw(request: HttpRequest, pk: int) -> HttpResponse:
    """Throw a switch. Decides on the server who may, by the state that the switch is in."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    switch = get_object_or_404(TradingSwitch, pk=pk)
    page = HttpResponseRedirect(reverse("admin:counter_tradingswitch_change", args=[pk]))
    asked = request.POST.get("state", "")
    if asked not in State.values:
        messages.error(request, "A switch has no such state.")
        return page
    to = State(asked)
    if to != switch.state and not request.user.has_perm(permission_for(was=switch.state, to=to)):
        raise PermissionDenied
    by = request.user.get_username()
    try:
        thrown = throw(
            underlying=switch.underlying,
            to=to,
            reason=request.POST.get("reason", ""),
            by=by,
            now=timezone.now(),
            seen=State(switch.state),
        )
    except SwitchRefused as refusal:
        messages.error(request, f"Not done: {refusal}.")
    else:
        switch.refresh_from_db()
        messages.success(request, f"{switch}." if thrown else f"{switch} already.")
    return page
