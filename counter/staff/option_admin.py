"""The life of options as staff see it, and what they may do: halt a series, enter a settlement index, approve one.

Guards money: rows are only looked at here. What decides is an operation, with a permission of its own.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.decorators import action
from unfold.forms import ActionForm
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from config.readonly import ReadOnlyAdmin, age_filter
from counter.expiring import index_entries
from counter.expiring.index_entries import EntryRefused, Person
from counter.expiring.settlement_index import recorded_average
from counter.market import series
from counter.models import Expiry, IndexEntry, IndexPrice, Option

HALT, ENTER, APPROVE = "counter.halt_option", "counter.enter_index", "counter.approve_indexentry"


def _person(request: HttpRequest) -> Person:
    assert request.user.pk is not None  # noqa: S101 - the admin lets nobody else in
    return Person(request.user.pk, request.user.get_username())


def _page_of(row: Expiry | IndexEntry) -> str:
    return reverse(f"admin:counter_{row._meta.model_name}_change", args=[row.pk])


class ReasonForm(ActionForm):
    """Beside the action: why."""

    why = forms.CharField(
        required=False,
        label="",
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "why (needed)"}),
    )


class OptionAdmin(ReadOnlyAdmin):
    """Series, and the switch of each."""

    list_display = ["symbol", "state", "strike", "expires_at", "multiplier", "settlement_index"]
    list_filter = ["underlying", "kind", "state"]
    search_fields = ["symbol__startswith"]
    action_form = ReasonForm
    actions = ["halt_series", "resume_series"]

    def has_halt_permission(self, request: HttpRequest) -> bool:
        """Decides on the server who is offered the actions and whose request for them is obeyed."""
        return request.user.has_perm(HALT)

    @action(description="Halt: no new positions", permissions=["halt"])
    def halt_series(self, request: HttpRequest, queryset: QuerySet[Option]) -> None:
        """Take no opening orders in the selected series any more; closing goes on."""
        self._move(request, queryset, series.halt, "halted")

    @action(description="Resume: take new positions again", permissions=["halt"])
    def resume_series(self, request: HttpRequest, queryset: QuerySet[Option]) -> None:
        """Take opening orders in the selected series again."""
        self._move(request, queryset, series.resume, "resumed")

    def _move(self, request: HttpRequest, options: QuerySet[Option], moving: Any, done: str) -> None:
        by, why = request.user.get_username(), request.POST.get("why", "")
        try:
            moved = moving(options, by=by, why=why, now=timezone.now())
        except series.ReasonMissing:
            self.message_user(request, "Say why, in the field beside the action.", messages.ERROR)
            return
        level = messages.SUCCESS if moved else messages.WARNING
        self.message_user(request, f"{len(moved)} of the selected series {done}.", level)


class OptionChangeAdmin(ReadOnlyAdmin):
    """Each step of each series."""

    list_display = ["at", "option", "from_state", "to_state", "by", "why"]
    list_select_related = ["option"]
    list_filter = ["to_state", age_filter("at", goes_with_key=True)]
    search_fields = ["option__symbol__startswith", "by__exact"]
    search_help_text = "Beginning of the option's symbol, or who did it"


class SettlementIndexAdmin(ReadOnlyAdmin):
    """What settled each coin at each moment, and what it was made of."""

    list_display = [
        *("expires_at", "underlying", "price", "entry", "samples", "minutes", "largest_gap_seconds"),
        "recorded_at",
    ]
    list_select_related = ["entry__expiry"]
    list_filter = ["underlying"]


class EntryForm(forms.Form):
    """A settlement index by a person's word."""

    price = forms.DecimalField(
        label="Settlement index",
        max_digits=20,
        decimal_places=8,
        help_text="USDT for one coin: the average of the last 30 minutes before the expiry.",
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any", "inputmode": "decimal"}),
    )
    reason = forms.CharField(
        help_text="For everybody who reads the history.", widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )
    evidence = forms.CharField(
        help_text="What shows it: where the price comes from, and how. Whoever approves relies on it.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )


class ExpiryAdmin(ReadOnlyAdmin):
    """Each coin's moments of expiry; one without an index has a page to enter it."""

    list_display = [
        *("expires_at", "underlying", "state", "exercised", "worthless", "left_to_fill", "paid_at_once"),
        *("why", "settled_at"),
    ]
    list_filter = ["state", "underlying", age_filter("expires_at")]
    change_form_outer_before_template = "counter/expiry/index.html"

    def get_urls(self) -> list[URLPattern]:
        """With the address where an index is entered."""
        view = self.admin_site.admin_view(self.enter)
        return [path("<int:expiry_id>/enter/", view, name="counter_expiry_enter"), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the way to enter an index, where one is missing."""
        expiry = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(expiry, Expiry) and index_entries.takes_entries(expiry):
            context["takes_entries"] = True
            context["waiting"] = expiry.indexentry_set.filter(state=IndexEntry.State.REQUESTED).first()
            context["may_enter"] = request.user.has_perm(ENTER)
        return super().change_view(request, object_id, form_url, context)

    def enter(self, request: HttpRequest, expiry_id: int) -> HttpResponse:
        """Ask that an expiry be settled at a price; another person has to approve it."""
        if not request.user.has_perm(ENTER):
            raise PermissionDenied
        expiry = get_object_or_404(Expiry, pk=expiry_id)
        form = EntryForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                made = index_entries.request(
                    expiry_id=expiry.pk, **form.cleaned_data, by=_person(request), now=timezone.now()
                )
            except EntryRefused as refusal:
                form.add_error(None, str(refusal).capitalize())
            else:
                self.message_user(request, "Another person has to approve it now.", messages.SUCCESS)
                return HttpResponseRedirect(_page_of(made))
        context = {
            **self.admin_site.each_context(request),
            "title": "Enter the index",
            "expiry": expiry,
            "form": form,
            "back": _page_of(expiry),
            **what_is_recorded(expiry),
        }
        return TemplateResponse(request, "counter/expiry/enter.html", context)


class IndexEntryAdmin(ReadOnlyAdmin):
    """What people asked to be the index, and who decided."""

    list_display = [
        *("id", "expiry", "price", "state", "reason", "requested_by", "requested_at"),
        *("decided_by", "decided_at"),
    ]
    list_select_related = ["expiry"]
    list_filter = ["state"]
    change_form_outer_before_template = "counter/expiry/decision.html"

    def get_urls(self) -> list[URLPattern]:
        """With the address for decisions."""
        view = self.admin_site.admin_view(require_POST(self.decide))
        return [path("<int:entry_id>/decide/", view, name="counter_indexentry_decide"), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With what is recorded, and the decision."""
        entry = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(entry, IndexEntry):
            context |= {
                "entry": entry,
                "waits": entry.state == IndexEntry.State.REQUESTED,
                "is_own": entry.requested_by_id == request.user.pk,
                "may_approve": request.user.has_perm(APPROVE),
                **what_is_recorded(entry.expiry),
            }
        return super().change_view(request, object_id, form_url, context)

    def decide(self, request: HttpRequest, entry_id: int) -> HttpResponse:
        """Approve, reject or withdraw. The first two need the approver's permission, the last that it is one's own."""
        entry = get_object_or_404(IndexEntry, pk=entry_id)
        step, note = request.POST.get("decision", ""), request.POST.get("note", "")
        is_own = entry.requested_by_id == request.user.pk
        if step not in ("approve", "reject") or not (
            request.user.has_perm(APPROVE) or (is_own and step == "reject")
        ):
            raise PermissionDenied
        deciding = index_entries.approve if step == "approve" else index_entries.reject
        try:
            made = deciding(entry_id=entry.pk, by=_person(request), note=note, now=timezone.now())
        except EntryRefused as refusal:
            self.message_user(request, str(refusal).capitalize(), messages.ERROR)
        else:
            self.message_user(request, f"It is {made.get_state_display().lower()}.", messages.SUCCESS)
        return HttpResponseRedirect(_page_of(entry))


def what_is_recorded(expiry: Expiry) -> dict[str, Any]:
    """What the record says, whole or not: the average of what there is, and the last price before the expiry."""
    before = IndexPrice.objects.filter(underlying=expiry.underlying, at__lt=expiry.expires_at)
    return {"recorded": recorded_average(expiry), "last_before": before.order_by("-at").first()}
