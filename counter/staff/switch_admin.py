"""Kill switches in the admin: thrown on a switch's page by people who may, with a reason."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse

from counter.models import TradingSwitch
from counter.staff.switch_effects import effect_of
from counter.trading.switches import SEVERITY, State, SwitchRefused, make_missing, may_throw, throw
from infra.admin.readonly import ReadOnlyAdmin
from infra.coordination import clock

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
        throwing, confirming = (self.admin_site.admin_view(view) for view in (_throw, self._confirm))
        return [
            path("<int:pk>/throw/", throwing, name="counter_tradingswitch_throw"),
            path("<int:pk>/confirm/", confirming, name="counter_tradingswitch_confirm"),
            *super().get_urls(),
        ]

    def _confirm(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What would stop and what goes on, before it is done; only for who may do it."""
        switch = get_object_or_404(TradingSwitch, pk=pk)
        asked = request.GET.get("state", "")
        if asked not in State.values or asked == switch.state:
            return HttpResponseRedirect(reverse("admin:counter_tradingswitch_change", args=[pk]))
        to = State(asked)
        if not may_throw(request.user, switch, to=to):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": f"{WORDS[to]}: {switch.coins}",
            "switch": switch,
            "to": to.value,
            "word": WORDS[to],
            "effect": effect_of(switch, to=to, now=clock.of("default").now()),
        }
        return render(request, "counter/switch_confirm.html", context)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With a switch for every coin, thrown before or not, for people who may throw one."""
        if may_throw(request.user, TradingSwitch(), to=State.ALL_STOPPED):
            make_missing(now=clock.of("default").now())
        return super().changelist_view(request, extra_context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the states that this person may bring it to."""
        switch = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(switch, TradingSwitch):
            context["switch"] = switch
            context["choices"] = [
                {"value": state.value, "word": WORDS[state], "stops": SEVERITY[state] > SEVERITY[was]}
                for was in [State(switch.state)]
                for state in State
                if state is not was and may_throw(request.user, switch, to=state)
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
    if to != switch.state and not may_throw(request.user, switch, to=to):
        raise PermissionDenied
    by = request.user.get_username()
    try:
        thrown = throw(
            underlying=switch.underlying,
            to=to,
            reason=request.POST.get("reason", ""),
            by=by,
            now=clock.of("default").now(),
            seen=State(switch.state),
        )
    except SwitchRefused as refusal:
        messages.error(request, f"Not done: {refusal}.")
    else:
        switch.refresh_from_db()
        messages.success(request, f"{switch}." if thrown else f"{switch} already.")
    return page
