"""Kill switches in the admin: thrown on a switch's page by people who may, taken back, or asked to be undone."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from unfold.decorators import display

from counter.models import TradingSwitch, TradingSwitchChange
from counter.staff.switch_banners import Said, already, resumed, second_stop, stop_done
from counter.staff.switch_changed import happened_since, mark_of, newest_throw
from counter.staff.switch_effects import effect_of
from counter.staff.switch_list import switches_for
from counter.staff.switch_page import WORDS, names_text, page_of
from counter.staff.switch_standing import WHOLE, standing_of
from counter.trading.resume_requests import approvers, ask_for_resuming, may_ask, waiting_requests
from counter.trading.switches import SEVERITY, State, SwitchRefused, may_throw, newest_id, stopped, throw
from counter.trading.taking_back import may_take_back, take_back
from infra.admin.readonly import ReadOnlyAdmin, is_number
from infra.coordination import clock


class TradingSwitchAdmin(ReadOnlyAdmin):
    list_display = ["coins", "said", "thrown_at", "by", "reason"]
    list_display_links = ["coins"]
    ordering = ["underlying"]
    change_list_template = "counter/switches.html"
    change_form_template = "counter/switch_form.html"
    change_form_outer_before_template = "counter/switch.html"

    @display(description="state", ordering="state")
    def said(self, switch: TradingSwitch) -> str:
        """What its coins let through, in words."""
        return standing_of(switch, stopped()).said

    @display(description="since", ordering="since")
    def thrown_at(self, switch: TradingSwitch) -> str:
        """When it was thrown last."""
        return f"{switch.since:{WHOLE}}" if switch.by else "never"

    def get_urls(self) -> list[URLPattern]:
        """With the addresses where a switch is thrown and where that is undone."""
        views = {"throw": _throw, "confirm": self._confirm, "take-back": _take_back, "ask": _ask}
        return [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(view),
                name=f"counter_tradingswitch_{name.replace('-', '_')}",
            )
            for name, view in views.items()
        ] + super().get_urls()

    def _confirm(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What would stop and what goes on, before it is done; only for who may do it."""
        switch = get_object_or_404(TradingSwitch, pk=pk)
        after = newest_id(switch.underlying)
        switch.refresh_from_db()  # not before the id: who throws it in between is none whom this page has shown
        asked, now = request.GET.get("state", ""), clock.of("default").now()
        if asked not in State.values or asked == switch.state:
            if asked == switch.state:
                messages.info(request, already(switch))
            return HttpResponseRedirect(_address(pk))
        to = State(asked)
        if not may_throw(request.user, switch, to=to):
            raise PermissionDenied
        word = WORDS[State(switch.state), to]
        context = {
            **self.admin_site.each_context(request),
            "title": f"{word}: {switch.coins}",
            "switch": switch,
            "to": to.value,
            "after": after,
            "word": word,
            "effect": effect_of(switch, to=to, now=now),
            "standing": standing_of(switch, stopped()),
            "requests": waiting_requests([switch.underlying]).get(switch.underlying, []),
            "approvers": names_text(approvers(besides=request.user.get_username())),
        }
        return render(request, "counter/switch_confirm.html", context)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """None: the page says it in words."""
        return []

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With a switch for every coin, thrown before or not, as on the first page."""
        return super().changelist_view(
            request, {**(extra_context or {}), "switches": switches_for(request.user)}
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With what is stopped, and what this person may do about it."""
        switch = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(switch, TradingSwitch):
            newest, now = newest_throw(switch), clock.of("default").now()
            switch.refresh_from_db()  # not before the id: what is thrown in between makes the page an old one
            page = page_of(switch, user=request.user, now=now)
            mark = mark_of(newest, page)
            context |= {"switch": switch, "page": page, "mark": mark}
            if "HX-Request" in request.headers:
                return _still(request, mark, {**context, "now": now})
        return super().change_view(request, object_id, form_url, context)


def _address(pk: int) -> str:
    return reverse("admin:counter_tradingswitch_change", args=[pk])


def _still(request: HttpRequest, mark: str, context: dict[str, Any]) -> HttpResponse:
    """The answer to an open page that asks whether it is old: nothing, or what stands in its place."""
    asked = request.GET.get("mark", "")
    if asked == mark:
        return HttpResponse(status=204)
    by = request.user.get_username()
    happened = happened_since(context["switch"], context["page"], asked, by=by)
    return render(request, "counter/switch_old.html", {**context, "happened": happened})


def _throw(request: HttpRequest, pk: int) -> HttpResponse:
    """Throw a switch. Decides on the server who may, by the state that the switch is in."""
    switch = get_object_or_404(TradingSwitch, pk=pk)
    asked, seen = request.POST.get("state", ""), State(switch.state)
    is_there = asked == seen

    def work(by: str, reason: str) -> Said:
        if asked not in State.values:
            raise SwitchRefused("a switch has no such state")
        to, now = State(asked), clock.of("default").now()
        # What is stopped already, a second person may stop too.
        if not (may_take_back(request.user) if is_there else may_throw(request.user, switch, to=to)):
            if is_there:
                return Said(already(switch), is_warning=True)
            raise PermissionDenied
        after = _number(request, "after")
        thrown = throw(
            underlying=switch.underlying, to=to, reason=reason, by=by, now=now, seen=seen, after=after
        )
        switch.refresh_from_db()
        if not thrown:
            return Said(second_stop(switch, by), is_warning=True)
        return stop_done(switch, by, now) if SEVERITY[to] > SEVERITY[seen] else resumed(switch, "Resumed")

    return _done(request, pk, work)


def _take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back the stop that the page showed, which is this person's own."""
    switch = get_object_or_404(TradingSwitch, pk=pk)
    if not may_take_back(request.user):
        raise PermissionDenied

    def work(by: str, reason: str) -> Said:
        stop_id = _throw_of(switch, request, "stop")
        taken = take_back(stop_id=stop_id, reason=reason, by=by, now=clock.of("default").now())
        switch.refresh_from_db()
        return resumed(switch, "Taken back" if taken else "Taken back already")

    return _done(request, pk, work)


def _ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask those who may to resume trading."""
    switch = get_object_or_404(TradingSwitch, pk=pk)
    if not may_ask(request.user):
        raise PermissionDenied

    def work(by: str, reason: str) -> Said:
        change_id = _throw_of(switch, request, "change")
        is_new = ask_for_resuming(change_id=change_id, reason=reason, by=by, now=clock.of("default").now())
        people = names_text(approvers(besides=by)) or "nobody, as long as nobody has the right"
        return Said(f"{'Asked' if is_new else 'You have asked already'}. Waits for {people}.")

    return _done(request, pk, work)


def _done(request: HttpRequest, pk: int, work: Callable[[str, str], Said]) -> HttpResponse:
    """Do it by this person with the form's reason, and say on the switch's page what came of it."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        said = work(request.user.get_username(), request.POST.get("reason", ""))
    except SwitchRefused as refusal:
        messages.error(request, f"Not done: {refusal}.")
    else:
        (messages.warning if said.is_warning else messages.success)(request, said.text)
    return HttpResponseRedirect(_address(pk))


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if is_number(text) else 0


def _throw_of(switch: TradingSwitch, request: HttpRequest, name: str) -> int:
    """The id of one of this switch's throws that the form names; 0 if it is none."""
    found = TradingSwitchChange.objects.filter(pk=_number(request, name), underlying=switch.underlying)
    return found.values_list("pk", flat=True).first() or 0
