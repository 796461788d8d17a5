"""Reconciliation as staff see it: breaks with their trace, age and owner, the runs, and a run at once.

Nothing here closes a break: a later run does, when it finds it balanced.
"""

from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.views.decorators.http import require_POST
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from acceptance.admin import SearchedAdmin
from infra.admin.readonly import age_filter, link_column
from infra.broker.dispatcher import dispatcher
from infra.coordination import clock
from settlement.intervention_pages.admins import OperatedAdmin
from settlement.intervention_pages.batch_admin import BatchForm
from settlement.models import ReconciliationBreak
from settlement.models.history import Subject
from settlement.reconciliation import breaks

OWN = "settlement.own_reconciliationbreak"
RUN = "settlement.run_reconciliation"


def staff_names() -> list[tuple[str, str]]:
    """Who may be made an owner: active staff."""
    users = get_user_model().objects.filter(is_staff=True, is_active=True).order_by("username")
    return [("", "owner: myself"), *((name, name) for name in users.values_list("username", flat=True))]


class OwnerForm(BatchForm):
    """Beside the action: whose the break is to be."""

    owner = forms.ChoiceField(choices=staff_names, required=False, label="", widget=UnfoldAdminSelectWidget())


class RunningAdmin(SearchedAdmin):
    """Lists above which a run can be asked for."""

    list_before_template = "settlement/reconciliation/run_now.html"


class ReconciliationBreakAdmin(RunningAdmin, OperatedAdmin):
    subject = Subject.BREAK
    takes_batches = True
    timeline = link_column("timeline", page="order_timeline", by="order_id")
    list_display = [
        *("id", "what", "where", "amount", "asset", "state", "age", "owner", "conversion", "timeline"),
        *("found_at", "closed_by"),
    ]
    list_filter = ["state", "what", "owner", age_filter("since")]
    search_help_text = "Id, or that of the order, the conversion, the venue's trade or transfer"
    number_fields = ["order_id", "conversion_id", "venue_trade_id", "venue_transfer_id", "pk"]
    text_fields = ["owner", "venue_trade_id", "venue_transfer_id"]
    action_form = OwnerForm
    actions = ["make_owner"]

    def has_own_permission(self, request: HttpRequest) -> bool:
        """Decides on the server who is offered the action and whose request for it is obeyed."""
        return request.user.has_perm(OWN)

    @display(description="age", ordering="since")
    def age(self, row: ReconciliationBreak) -> str:
        """From when it happened to when it was balanced, or to now."""
        return timesince(row.since, row.closed_at or clock.of("desk").now())

    @display(description="conversion")
    def conversion(self, row: ReconciliationBreak) -> str:
        """A link to the conversion that it leads back to."""
        if row.conversion_id is None:
            return ""
        address = reverse("admin:settlement_conversion_change", args=[row.conversion_id])
        return format_html('<a class="underline" href="{}">{}</a>', address, row.conversion_id)

    @action(description="Make the owner of", permissions=["own"])
    def make_owner(self, request: HttpRequest, queryset: QuerySet[ReconciliationBreak]) -> None:
        """The selected open breaks are this person's to find out about."""
        name = request.POST.get("owner") or request.user.get_username()
        user = get_user_model().objects.filter(username=name, is_staff=True, is_active=True).first()
        if user is None:
            self.message_user(request, f"There is no active member of staff {name}.", messages.ERROR)
            return
        owned = breaks.own(queryset, owner_id=user.pk, owner=name, now=clock.of("desk").now())
        level = messages.SUCCESS if owned else messages.WARNING
        self.message_user(request, f"{name} is the owner of {owned} open breaks.", level)


class ReconciliationRunAdmin(RunningAdmin):
    list_display = [
        *("id", "at", "by", "seconds", "checked", "found", "closed", "open", "in_flight", "unchecked"),
        *("trades_until", "orders_until"),
    ]
    list_filter = [age_filter("at")]

    def get_urls(self) -> list[URLPattern]:
        """With the address that asks for a run."""
        view = self.admin_site.admin_view(require_POST(self.run_now))
        return [path("now/", view, name="settlement_reconciliation_now"), *super().get_urls()]

    def run_now(self, request: HttpRequest) -> HttpResponse:
        """Have a worker reconcile at once."""
        if not request.user.has_perm(RUN):
            raise PermissionDenied
        dispatcher.send([("settlement.reconcile", [request.user.get_username()])])
        text = "A run was asked for; it shows here when it is done, in some seconds."
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:settlement_reconciliationrun_changelist"))
