"""The life of options as staff see it, and what they may do: halt a series, enter a settlement index, approve one.

Guards money: rows are only looked at here. What decides is an operation, with a permission of its own.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from unfold.decorators import action
from unfold.forms import ActionForm
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from counter.expiring import index_entries
from counter.expiring.index_entries import EntryRefused
from counter.expiring.settlement_index import recorded_average
from counter.models import Expiry, IndexEntry, IndexPrice, Option
from counter.trading import series
from infra.admin.decisions import APPROVE, REJECT, DecidedAdmin, page_of, request_page
from infra.admin.readonly import ReadOnlyAdmin, age_filter
from infra.coordination import clock
from infra.db.lifecycles import may

ENTER = "counter.enter_index"


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
        return may(request.user, Option(), Option.halt)

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
            moved = moving(options, by=by, why=why, now=clock.of("default").now())
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
        help_text="What shows it: where the price comes from, and how. The approver relies on it.",
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
        return request_page(
            request,
            EntryForm(request.POST if request.method == "POST" else None),
            make=lambda **asked: index_entries.request(
                expiry_id=expiry.pk, now=clock.of("default").now(), **asked
            ),
            refusal=EntryRefused,
            template="counter/expiry/enter.html",
            context={
                **self.admin_site.each_context(request),
                "title": "Enter the index",
                "expiry": expiry,
                "back": page_of(expiry),
                **what_is_recorded(expiry),
            },
        )


class IndexEntryAdmin(DecidedAdmin, ReadOnlyAdmin):
    """What people asked to be the index, and who decided."""

    list_display = [
        *("id", "expiry", "price", "state", "reason", "requested_by", "requested_at"),
        *("decided_by", "decided_at"),
    ]
    list_select_related = ["expiry"]
    list_filter = ["state"]
    change_form_outer_before_template = "counter/expiry/decision.html"
    steps = {APPROVE: IndexEntry.apply, REJECT: IndexEntry.reject}
    operations = {APPROVE: index_entries.approve, REJECT: index_entries.reject}
    id_name = "entry_id"
    refusal = EntryRefused

    def beside(self, made: IndexEntry) -> dict[str, Any]:
        """What is recorded."""
        return what_is_recorded(made.expiry)


def what_is_recorded(expiry: Expiry) -> dict[str, Any]:
    """What the record says, whole or not: the average of what there is, and the last price before the expiry."""
    before = IndexPrice.objects.filter(underlying=expiry.underlying, at__lt=expiry.expires_at)
    return {"recorded": recorded_average(expiry), "last_before": before.order_by("-at").first()}
